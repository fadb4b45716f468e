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
//              return the first token of a feedback edge.
//   idle()     on the stage's executor (thread or main) whenever nothing came for a few milliseconds.
//   finish()   after the last message, also when the run failed elsewhere. May return a last message.
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
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "graph/context.h"
#include "graph/error.h"
#include "graph/message.h"
#include "graph/parameter.h"

namespace graph {

/// Who may run a stage's body.
enum class Executor {
  cpu,     // oneTBB's workers; the body must not block
  thread,  // a thread of its own; the body may block
  main,    // the thread that called Engine::run; highgui wants it
};

/// How an input takes part in a firing.
enum class Intake { joined, sampled, gathered };

struct InputPort {
  std::string name, doc;
  Intake intake = Intake::joined;
  const Type* type = nullptr;  // null: any
};

struct OutputPort {
  std::string name, doc;
  const Type* type = nullptr;  // null: the type of the stage's Any input
  bool from_idle = false;      // idle() sends on it, so it follows no input and numbers its own messages
  bool from_start = false;     // start() returns it, so it can feed a feedback edge
};

/// What one firing is given for one input port.
struct Input {
  Any one;                // joined; sampled, null when nothing has arrived
  std::vector<Any> many;  // gathered
};

/// A stage at work, its type erased. Not thread-safe: one caller at a time.
class Instance {
 public:
  virtual ~Instance() = default;
  /// Runs operator(). Outputs that were filtered stay null. Returns false when a source has ended.
  virtual bool call(std::span<const Input> in, std::span<Any> out, const Context& context) = 0;
  virtual void start(std::span<Any> out, const Context& context) = 0;
  virtual void idle(std::span<Any> out, const Context& context) = 0;
  virtual void finish(std::span<Any> out, const Context& context) = 0;
  /// The Params struct, for live changes; used between calls.
  virtual void* params() = 0;
};

/// A top-level block of the pipeline that a stage reads into a member of its Params.
struct BlockUse {
  std::string block;
  std::function<void*(void*)> member;  // Params* → the block's struct inside it
};

/// All that is known of a stage type; what `run stages NAME` prints.
struct StageType {
  std::string name, summary;
  std::vector<InputPort> inputs;
  std::vector<OutputPort> outputs;
  std::vector<Parameter> parameters;
  std::vector<std::string> shared;  // parameters that fall back to the top-level key of the same name
  std::vector<BlockUse> blocks;
  Executor executor = Executor::cpu;
  int in_flight = 4;    // default of a source
  bool writes = false;  // wants a run folder
  bool idles = false;   // has idle()
  std::function<std::shared_ptr<void>()> default_params;

  /// A stage with the given Params (made by default_params and decoded), not started.
  std::function<std::unique_ptr<Instance>(std::shared_ptr<void> params)> make;

  bool is_source() const { return inputs.empty(); }
};

/// All registered stage types by name.
const std::map<std::string, StageType>& stage_types();

/// All registered blocks by name.
const std::map<std::string, Block>& blocks();

/// Adds to the registries; two of one name end the program, since nobody could choose between them.
bool add_stage_type(StageType type);
bool add_block(Block block);

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

namespace detail {

template <class T>
struct Unwrap {
  using type = T;
};
template <class T>
struct Unwrap<std::optional<T>> {
  using type = T;
};

template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};

template <class T>
inline constexpr bool is_optional = !std::is_same_v<typename Unwrap<T>::type, T>;

template <class T>
const Type* port_type() {
  if constexpr (std::is_same_v<T, Any>)
    return nullptr;
  else
    return &type_of<T>();
}

/// The types that a result carries, std::optional and std::tuple taken off.
template <class R>
struct Results {
  using type = std::tuple<typename Unwrap<R>::type>;
};
template <>
struct Results<void> {
  using type = std::tuple<>;
};
template <class... R>
struct Results<std::tuple<R...>> {
  using type = std::tuple<typename Unwrap<R>::type...>;
};
template <class... R>
struct Results<std::optional<std::tuple<R...>>> {
  using type = std::tuple<typename Unwrap<R>::type...>;
};

/// Ports as operator()'s signature says.
template <class F>
struct Signature;
template <class T, class R, class... A>
struct Signature<R (T::*)(A...)> {
  using Result = R;
  using Arguments = std::tuple<std::remove_cvref_t<A>...>;
};
template <class T, class R, class... A>
struct Signature<R (T::*)(A...) const> : Signature<R (T::*)(A...)> {};

template <class A>
InputPort input_port() {
  InputPort port;
  if constexpr (is_optional<A>) {
    port.intake = Intake::sampled;
    port.type = port_type<typename Unwrap<A>::type>();
  } else if constexpr (is_vector<A>::value) {
    port.intake = Intake::gathered;
    port.type = port_type<typename A::value_type>();
  } else {
    port.type = port_type<A>();
  }
  return port;
}

/// One argument of operator() out of one port's input.
template <class A>
decltype(auto) argument(const Input& in) {
  if constexpr (is_optional<A>) {
    using T = typename Unwrap<A>::type;
    if constexpr (std::is_same_v<T, Any>)
      return in.one ? A(in.one) : A();
    else
      return in.one ? A(in.one.as<T>()) : A();
  } else if constexpr (is_vector<A>::value) {
    A all;
    all.reserve(in.many.size());
    for (const auto& any : in.many) {
      if constexpr (std::is_same_v<typename A::value_type, Any>)
        all.push_back(any);
      else
        all.push_back(any.as<typename A::value_type>());
    }
    return all;
  } else if constexpr (std::is_same_v<A, Any>) {
    return (in.one);
  } else {
    return in.one.as<A>();
  }
}

template <class T>
void put(T&& value, Any& out) {
  using V = std::remove_cvref_t<T>;
  if constexpr (is_optional<V>) {
    if (value) put(*std::forward<T>(value), out);
  } else if constexpr (std::is_same_v<V, Any>) {
    out = std::forward<T>(value);
  } else {
    out = Any::of<V>(std::forward<T>(value));
  }
}

/// Calls a hook with or without the context, and gives what it returns.
#define GRAPH_HOOK(hook)                                                                    \
  template <class T>                                                                        \
  constexpr bool has_##hook = requires(T t) {                                               \
    t.hook();                                                                               \
  }                                                                                         \
  || requires(T t, const Context& c) { t.hook(c); };                                        \
  template <class T>                                                                        \
  decltype(auto) call_##hook(T& stage, [[maybe_unused]] const Context& context) {           \
    if constexpr (requires { stage.hook(context); })                                        \
      return stage.hook(context);                                                           \
    else                                                                                    \
      return stage.hook();                                                                  \
  }                                                                                         \
  template <class T, bool = has_##hook<T>>                                                  \
  struct Result_##hook {                                                                    \
    using type = void;                                                                      \
  };                                                                                        \
  template <class T>                                                                        \
  struct Result_##hook<T, true> {                                                           \
    using type = decltype(call_##hook(std::declval<T&>(), std::declval<const Context&>())); \
  };
GRAPH_HOOK(start)
GRAPH_HOOK(idle)
GRAPH_HOOK(finish)
#undef GRAPH_HOOK

/// Where in Results a hook's value goes, or -1.
template <class V, class... R>
int position(std::type_identity<std::tuple<R...>>) {
  int at = -1, index = 0;
  ((std::is_same_v<V, R> && at < 0 ? void(at = index) : void(), ++index), ...);
  return at;
}

template <class T, class = void>
struct ParamsOf {
  struct type {};
};
template <class T>
struct ParamsOf<T, std::void_t<typename T::Params>> {
  using type = typename T::Params;
};

template <class T>
class Adapter final : public Instance {
 public:
  using Call = Signature<decltype(&T::operator())>;
  using Arguments = typename Call::Arguments;
  using Returned = typename Results<typename Call::Result>::type;
  using Params = typename ParamsOf<T>::type;

  static constexpr bool takes_context() {
    constexpr auto n = std::tuple_size_v<Arguments>;
    if constexpr (n == 0)
      return false;
    else
      return std::is_same_v<std::tuple_element_t<n - 1, Arguments>, Context>;
  }
  static constexpr std::size_t inputs = std::tuple_size_v<Arguments> - (takes_context() ? 1 : 0);

  explicit Adapter(const Params& params) {
    if constexpr (requires { stage_.params; }) stage_.params = params;
  }

  bool call(std::span<const Input> in, std::span<Any> out, const Context& context) override {
    return apply(in, out, context, std::make_index_sequence<inputs>{});
  }
  void start([[maybe_unused]] std::span<Any> out, [[maybe_unused]] const Context& context) override {
    if constexpr (has_start<T>) hook(out, [&]() -> decltype(auto) { return call_start(stage_, context); });
  }
  void idle([[maybe_unused]] std::span<Any> out, [[maybe_unused]] const Context& context) override {
    if constexpr (has_idle<T>) hook(out, [&]() -> decltype(auto) { return call_idle(stage_, context); });
  }
  void finish([[maybe_unused]] std::span<Any> out, [[maybe_unused]] const Context& context) override {
    if constexpr (has_finish<T>) hook(out, [&]() -> decltype(auto) { return call_finish(stage_, context); });
  }
  void* params() override {
    if constexpr (requires { stage_.params; })
      return &stage_.params;
    else
      return nullptr;
  }

  /// Position of a hook's result among the outputs; the first position after operator()'s for a new type.
  template <class V>
  static int output_of() {
    const int at = position<V>(std::type_identity<Returned>{});
    return at >= 0 ? at : static_cast<int>(std::tuple_size_v<Returned>);
  }

 private:
  template <std::size_t... I>
  bool apply([[maybe_unused]] std::span<const Input> in, std::span<Any> out,
             [[maybe_unused]] const Context& context, std::index_sequence<I...>) {
    const auto run = [&]() -> decltype(auto) {
      if constexpr (takes_context())
        return stage_(argument<std::tuple_element_t<I, Arguments>>(in[I])..., context);
      else
        return stage_(argument<std::tuple_element_t<I, Arguments>>(in[I])...);
    };
    if constexpr (std::is_void_v<typename Call::Result>) {
      run();
      return true;
    } else {
      return scatter(run(), out);
    }
  }

  template <class R>
  static bool scatter(R&& result, std::span<Any> out) {
    using V = std::remove_cvref_t<R>;
    if constexpr (is_optional<V>) {
      return result ? (scatter(*std::forward<R>(result), out), true) : false;
    } else if constexpr (requires { std::tuple_size<V>::value; }) {
      std::size_t i = 0;
      std::apply([&](auto&&... each) { (put(std::forward<decltype(each)>(each), out[i++]), ...); },
                 std::forward<R>(result));
      return true;
    } else {
      put(std::forward<R>(result), out[0]);
      return true;
    }
  }

  template <class F>
  static void hook(std::span<Any> out, F&& run) {
    using R = std::remove_cvref_t<decltype(run())>;
    if constexpr (std::is_void_v<R>)
      run();
    else
      put(run(), out[static_cast<std::size_t>(output_of<typename Unwrap<R>::type>())]);
  }

  T stage_{};
};

}  // namespace detail

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
    mark<typename detail::Result_start<T>::type>([](OutputPort& port) { port.from_start = true; });
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
