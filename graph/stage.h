// stage: how a plain struct becomes a stage that YAML can name.
//
//   struct Scale {
//     struct Params { double by = 2; };
//     Number operator()(const Number& x, const graph::Context&) const { return {x.value * params.by}; }
//     Params params;
//   };
//   const bool registered = graph::Stage<Scale>("scale")
//       .summary("multiply every number")
//       .in("x", "any number").out("scaled", "x · by")
//       .param("by", &Scale::Params::by, "the factor", graph::above(0))
//       .add();
//
// The signature of operator() is the ports:
//
//   parameter  const T&                 an input that triggers; several fire together on one message number
//              std::optional<T>         the newest so far, sampled when a trigger fires
//              std::vector<T>           all that arrived since the last firing
//              const graph::Any&        a trigger of any type
//              const graph::Context&    number, progress, stop token; may stand last
//   result     T, std::tuple<T…>        one output, several outputs
//              std::optional<T>         empty: filtered; from a source: the end
//              graph::Any               an output of the type of the stage's Any input
//              void                     a sink
//
// Optional hooks, each with or without `const Context&`:
//
//   start()    before the first message, on the thread that runs the pipeline: load, open, fail early. May
//              return the first token of a feedback edge; or, of a type that operator() does not return, what
//              others need from the beginning. That comes once, so it can only be sampled or gathered.
//   idle()     on the stage's executor (thread or main) whenever nothing came for a few milliseconds.
//   finish()   after the last message, also when the run failed elsewhere. May return a last message. What gathered
//              inputs took in since then is in the context's `left`.
//
// A hook returns void, T or std::optional<T>, where T is the type of one output or makes an output of its own.
// What idle() sends follows no input: nothing can hold it back, so edges from that output must drop.
//
// A stage without inputs is a source and runs on a thread of its own. Bodies of one stage never overlap, see
// no queue and hold no lock. Whatever they throw ends the run with the stage's place in the YAML.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "graph/adapter.h"
#include "graph/context.h"
#include "graph/error.h"
#include "graph/message.h"
#include "graph/parameter.h"
#include "graph/stage_type.h"

namespace graph {

/// Registers a struct as the block `name`, to be read with Stage::block(). `check` throws std::exception when
/// values that are each in range do not go together; a text that names a key is shown at that key.
template <class P>
bool add_block(
    std::string name, std::string summary, const Schema<P>& schema,
    std::function<void(const P&)> check = [](const P&) {}) {
  return add_block({std::move(name), std::move(summary), schema.parameters,
                    [] { return std::static_pointer_cast<void>(std::make_shared<P>()); },
                    [check](const void* block) { check(*static_cast<const P*>(block)); }});
}

/// The declaration of stage type T; add() puts it into the registry.
template <class T>
class Stage {
  using Adapter = detail::Adapter<T>;
  using Params = typename Adapter::Params;

 public:
  explicit Stage(std::string name) {
    type_.name = std::move(name);
    ports(std::make_index_sequence<Adapter::inputs>{});
    using R = typename Adapter::Returned;
    [&]<class... V>(std::type_identity<std::tuple<V...>>) {
      (type_.outputs.push_back({.type = detail::port_type<V>()}), ...);
    }(std::type_identity<R>{});
    mark_hook_outputs();
    type_.idles = detail::has_idle<T>;
    if (Adapter::inputs == 0) type_.executor = Executor::thread;
    type_.default_params = [] { return std::static_pointer_cast<void>(std::make_shared<Params>()); };
    type_.make = [](std::shared_ptr<void> params) -> std::unique_ptr<Instance> {
      return std::make_unique<Adapter>(*static_cast<Params*>(params.get()));
    };
  }

  Stage& summary(std::string text) {
    type_.summary = std::move(text);
    return *this;
  }
  /// Names the inputs and outputs in the order of the signature.
  Stage& in(std::string name, std::string doc) {
    if (named_in_ == type_.inputs.size()) broken("more .in() than inputs of operator()");
    auto& port = type_.inputs[named_in_++];
    port.name = std::move(name);
    port.doc = std::move(doc);
    return *this;
  }
  Stage& out(std::string name, std::string doc) {
    if (named_out_ == type_.outputs.size()) broken("more .out() than outputs of operator()");
    auto& port = type_.outputs[named_out_++];
    port.name = std::move(name);
    port.doc = std::move(doc);
    return *this;
  }
  template <class M, class Base>
  Stage& param(std::string name, M Base::*member, std::string doc, Range range = {}) {
    schema_.param(std::move(name), member, std::move(doc), std::move(range));
    return *this;
  }
  /// A parameter that, when the stage does not set it, takes the pipeline's top-level value of that name.
  template <class M, class Base>
  Stage& shared(std::string name, M Base::*member, std::string doc, Range range = {}) {
    type_.shared.push_back(name);
    return param(std::move(name), member, std::move(doc), std::move(range));
  }
  /// Reads the top-level block `name` into a member of Params.
  template <class M, class Base>
  Stage& block(std::string name, M Base::*member) {
    type_.blocks.push_back(
        {std::move(name), [member](void* p) -> void* { return &(static_cast<Params*>(p)->*member); }});
    return *this;
  }
  /// The same for a block without which the stage can do: the member stays empty where there is none.
  template <class M, class Base>
  Stage& block(std::string name, std::optional<M> Base::*member) {
    type_.blocks.push_back({std::move(name),
                            [member](void* p) -> void* {
                              auto& values = static_cast<Params*>(p)->*member;
                              return values ? &*values : &values.emplace();
                            },
                            true});
    return *this;
  }
  /// Of the parameter declared last: its unit; that it may change while the pipeline runs.
  Stage& unit(std::string text) {
    schema_.parameters.back().unit = std::move(text);
    return *this;
  }
  Stage& live() {
    schema_.parameters.back().live = true;
    return *this;
  }
  Stage& on(Executor executor) {
    type_.executor = executor;
    return *this;
  }
  /// A source's default for `in_flight`.
  Stage& in_flight(int messages) {
    type_.in_flight = messages;
    return *this;
  }
  /// The pipeline gets a run folder because of this stage.
  Stage& writes() {
    type_.writes = true;
    return *this;
  }
  /// An ended run can go on because of this stage.
  Stage& resumes() {
    type_.resumes = true;
    return *this;
  }
  /// The declared type, for use without the registry.
  StageType type() {
    if (named_in_ != type_.inputs.size() || named_out_ != type_.outputs.size())
      broken("ports do not match operator(): name each input with .in() and each output with .out()");
    if (type_.idles && type_.executor == Executor::cpu) broken("idle() needs .on(Executor::thread) or main");
    if (type_.is_source() && type_.executor != Executor::thread)
      broken("a source runs on a thread of its own");
    if (type_.is_source() && type_.idles) broken("a source has no idle(): nothing ever comes to it");
    type_.parameters = std::move(schema_.parameters);
    return std::move(type_);
  }
  bool add() { return add_stage_type(type()); }

 private:
  // A wrong declaration is a mistake in the program, seen by its first run.
  [[noreturn]] void broken(const char* why) const {
    std::fprintf(stderr, "stage type '%s': %s\n", type_.name.c_str(), why);
    std::abort();
  }

  template <std::size_t... I>
  void ports(std::index_sequence<I...>) {
    (type_.inputs.push_back(detail::input_port<std::tuple_element_t<I, typename Adapter::Arguments>>()), ...);
    bool triggered = type_.inputs.empty();
    for (const auto& port : type_.inputs) triggered |= port.intake == Intake::joined;
    if (!triggered) broken("no input triggers: one must be a const T&");
  }

  void mark_hook_outputs() {
    const auto flowing = type_.outputs.size();
    mark<typename detail::Result_start<T>::type>([](OutputPort& port) { port.from_start = true; });
    if (type_.outputs.size() > flowing) type_.outputs.back().opening = true;
    mark<typename detail::Result_idle<T>::type>([](OutputPort& port) { port.from_idle = true; });
    mark<typename detail::Result_finish<T>::type>([](OutputPort&) {});
  }

  template <class R, class F>
  void mark(F&& set) {
    if constexpr (!std::is_void_v<R>) {
      using V = typename detail::Unwrap<std::remove_cvref_t<R>>::type;
      const auto at = static_cast<std::size_t>(Adapter::template output_of<V>());
      if (at == type_.outputs.size()) type_.outputs.push_back({.type = detail::port_type<V>()});
      set(type_.outputs[at]);
    }
  }

  StageType type_;
  Schema<Params> schema_;
  std::size_t named_in_ = 0, named_out_ = 0;
};

}  // namespace graph
