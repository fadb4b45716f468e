// harness: runs one stage by its YAML name, without a graph and its threads.
//
//   Harness stage("scale", "{by: 3}", /*top level*/ "{seed: 4}");
//   auto out = stage.run<Number>(/*number*/ 0, Number{2});          // operator()
//   auto [sum, rest] = stage.run<Number, Text>(1, a, b);            // several outputs
//   auto late = stage.finish<Number>();                             // a hook
//
// Parameters go through the decoder that pipelines use, so a wrong one throws the same graph::Error. Whatever
// the stage throws passes through.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "graph/stage.h"

namespace tests {

/// A message that a stage sent: its body, or nothing when it was filtered.
template <class T>
using Sent = std::optional<T>;

/// Stands for a gathered input: all that arrived since the last firing.
template <class T>
struct Gathered {
  std::vector<T> all;
};

/// Stands for a sampled input to which nothing has come yet.
struct Nothing {};

class Harness {
 public:
  /// `params` is a YAML map of the stage's parameters, `top` one of what stands at the top of a pipeline: shared
  /// values and blocks. `run` is what the stage may know of its run, and must outlive this. Throws graph::Error
  /// with every problem.
  explicit Harness(const std::string& type, const std::string& params = "{}", const std::string& top = "{}",
                   graph::Run* run = nullptr);

  /// Runs operator() on message `number` with one argument for each input port: a body for a joined or sampled
  /// one, Nothing, Gathered, or graph::Any. Gives the first sizeof...(Out) outputs, one as itself and several as
  /// a tuple; a source that ends gives nothing on all of them.
  template <class... Out, class... In>
  auto run(std::uint64_t number, In&&... in) {
    std::vector<graph::Input> inputs;
    (inputs.push_back(input(std::forward<In>(in))), ...);
    graph::require(inputs.size() == type_->inputs.size(),
                   "the harness needs one argument for each input port");
    context_.number = number;
    auto results = fresh();
    ended_ = !instance_->call(inputs, results, context_);
    return unpack<Out...>(results, std::index_sequence_for<Out...>{});
  }

  /// The hooks; Out is the type of what they send, given back as Sent<Out>.
  template <class... Out>
  auto start() {
    return hook<Out...>(&graph::Instance::start);
  }
  template <class... Out>
  auto idle() {
    return hook<Out...>(&graph::Instance::idle);
  }
  template <class... Out>
  auto finish() {
    return hook<Out...>(&graph::Instance::finish);
  }

  /// Whether the last run() said that the source has ended.
  bool ended() const { return ended_; }
  /// Changes a live parameter as a running pipeline would; throws graph::Error when it is not live or does not fit.
  void set(const std::string& parameter, const std::string& value);
  /// Asks the stage to return early from now on; with a run of your own, that is for the run to say.
  void stop() { stop_.request_stop(); }

  const graph::StageType& type() const { return *type_; }

 private:
  template <class T>
  static graph::Input input(T&& value) {
    using V = std::remove_cvref_t<T>;
    graph::Input in;
    if constexpr (std::is_same_v<V, graph::Any>) {
      in.one = std::forward<T>(value);
    } else if constexpr (requires { value.all; }) {
      for (auto& each : value.all) in.many.push_back(graph::Any::of(each));
    } else if constexpr (!std::is_same_v<V, Nothing>) {
      in.one = graph::Any::of(V(std::forward<T>(value)));
    }
    return in;
  }

  template <class T>
  static Sent<T> sent(const graph::Any& any) {
    if constexpr (std::is_same_v<T, graph::Any>)
      return any ? Sent<T>(any) : std::nullopt;
    else
      return any ? Sent<T>(any.as<T>()) : std::nullopt;
  }

  template <class... Out, std::size_t... I>
  static auto unpack([[maybe_unused]] const std::vector<graph::Any>& results, std::index_sequence<I...>) {
    graph::require(sizeof...(Out) <= results.size(), "the stage has fewer outputs");
    if constexpr (sizeof...(Out) == 1)
      return (sent<Out>(results[I]), ...);
    else if constexpr (sizeof...(Out) > 1)
      return std::tuple{sent<Out>(results[I])...};
  }

  template <class... Out>
  auto hook(void (graph::Instance::*method)(std::span<graph::Any>, const graph::Context&)) {
    static_assert(sizeof...(Out) <= 1, "a hook sends one message");
    auto results = fresh();
    (instance_.get()->*method)(results, context_);
    if constexpr (sizeof...(Out) == 1) {
      // A hook may send on any output, and says which by the type alone.
      for (const auto& result : results)
        if (result) return (sent<Out>(result), ...);
      return (Sent<Out>(), ...);
    }
  }

  std::vector<graph::Any> fresh() const { return std::vector<graph::Any>(type_->outputs.size()); }

  const graph::StageType* type_ = nullptr;
  std::unique_ptr<graph::Instance> instance_;
  graph::Context context_;
  std::stop_source stop_;
  bool ended_ = false;
};

inline Harness::Harness(const std::string& name, const std::string& params, const std::string& top,
                        graph::Run* run) {
  const auto found = graph::stage_types().find(name);
  if (found == graph::stage_types().end()) throw graph::Error("no stage type '" + name + "'");
  type_ = &found->second;
  const auto own = graph::parse_yaml(params, "params");
  const auto shared = graph::parse_yaml(top, "top");
  const auto made = type_->default_params();
  std::vector<graph::Problem> problems;
  for (const auto& entry : shared.entries) {
    bool read = false;
    graph::Value map;
    map.kind = graph::Value::Kind::map;
    map.entries.push_back(entry);
    for (const auto& each : type_->shared)
      if (each == entry.key) {
        graph::decode(type_->parameters, {}, made.get(), map, "top level", problems);
        read = true;
      }
    for (const auto& use : type_->blocks)
      if (use.block == entry.key) {
        graph::decode(graph::blocks().at(use.block).parameters, {}, use.member(made.get()), entry.value,
                      "block '" + use.block + "'", problems);
        read = true;
      }
    if (!read)
      problems.push_back({entry.place, "stage type '" + name + "' does not read '" + entry.key + "'"});
  }
  graph::decode(type_->parameters, {}, made.get(), own, "stage type '" + name + "'", problems);
  if (!problems.empty()) throw graph::Error(std::move(problems));
  instance_ = type_->make(made);
  context_ = {.number = 0, .stage = name, .run = run};
  if (!run) context_.closing = stop_.get_token();
}

inline void Harness::set(const std::string& name, const std::string& text) {
  for (const auto& parameter : type_->parameters) {
    if (parameter.name != name) continue;
    graph::require(parameter.live, "this parameter is not live");
    parameter.decode(instance_->params(), graph::parse_yaml(text, name));
    return;
  }
  throw graph::Error("no parameter '" + name + "'");
}

}  // namespace tests
