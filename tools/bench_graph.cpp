// bench_graph: a chain of stages that do nearly nothing, made without YAML or registry.
#include "tools/bench_graph.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "graph/engine.h"
#include "graph/stage.h"

namespace tools {
namespace {

struct Numbers {
  std::uint64_t operator()(const graph::Context& context) const { return context.number; }
};

struct Increment {
  std::uint64_t operator()(const std::uint64_t& x) const { return x + 1; }
};

struct Total {
  struct Params {
    std::uint64_t* sum = nullptr;
  };
  void operator()(const std::uint64_t& x) const { *params.sum += x; }
  Params params;
};

const graph::StageType& numbers() {
  static const auto type = graph::Stage<Numbers>("numbers").out("x", "").type();
  return type;
}
const graph::StageType& increment() {
  static const auto type = graph::Stage<Increment>("increment").in("x", "").out("y", "").type();
  return type;
}
const graph::StageType& total() {
  static const auto type = graph::Stage<Total>("total").in("x", "").type();
  return type;
}

graph::Pipeline chain(int stages, int in_flight, std::uint64_t messages, std::uint64_t* sum) {
  graph::Pipeline pipeline;
  pipeline.stop.steps = messages;
  const auto add = [&](const graph::StageType& type) -> graph::StagePlan& {
    const auto at = pipeline.stages.size();
    pipeline.stages.push_back({"s" + std::to_string(at), &type, type.default_params(), 0, {}});
    if (at > 0) pipeline.edges.push_back({.from = at - 1, .to = at});
    return pipeline.stages.back();
  };
  add(numbers()).in_flight = in_flight;
  for (int i = 0; i < stages; ++i) add(increment());
  static_cast<Total::Params*>(add(total()).params.get())->sum = sum;
  return pipeline;
}

}  // namespace

GraphBench bench_graph(int stages, int in_flight, std::uint64_t messages, int runs) {
  std::vector<double> figures;
  for (int run = 0; run < runs; ++run) {
    std::uint64_t sum = 0;
    graph::Engine engine(chain(stages, in_flight, messages, &sum), {});
    const auto begin = std::chrono::steady_clock::now();
    engine.run();
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
    if (sum != messages * (messages - 1) / 2 + messages * static_cast<std::uint64_t>(stages))
      throw graph::Error("the sum is wrong: messages were lost");
    figures.push_back(spent.count() / static_cast<double>(messages) / stages);
  }
  std::ranges::sort(figures);
  return {figures[figures.size() / 2], figures.front(), figures.back()};
}

}  // namespace tools
