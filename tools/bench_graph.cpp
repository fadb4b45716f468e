// bench_graph: what the engine itself costs a message: a chain of stages that do nearly nothing.
//
// Integers go from a source through cpu stages that each add 1; a sink after them adds up what arrives. Source and sink
// work too but do not count as stages, so the figure is on the high side. What is measured are the mailboxes, credits,
// wake-ups and TBB's tasks. The chain is made without YAML or registry.
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "graph/engine.h"
#include "graph/stage.h"
#include "tools/benches.h"
#include "tools/figures.h"

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

// Nanoseconds of wall time per message and stage, of one run. Throws graph::Error when a message was lost.
double run_once(int stages, int in_flight, std::uint64_t messages) {
  std::uint64_t sum = 0;
  graph::Engine engine(chain(stages, in_flight, messages, &sum), {});
  const auto begin = std::chrono::steady_clock::now();
  engine.run();
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
  if (sum != messages * (messages - 1) / 2 + messages * static_cast<std::uint64_t>(stages))
    throw graph::Error("the sum is wrong: messages were lost");
  return spent.count() / static_cast<double>(messages) / stages;
}

}  // namespace

nlohmann::json bench_graph(const BenchSetup&) {
  constexpr int stages = 5, in_flight = 64, runs = 9;
  constexpr std::uint64_t messages = 300'000;
  std::fprintf(stderr, "graph\n");
  std::vector<double> all;
  for (int run = 0; run < runs; ++run) all.push_back(run_once(stages, in_flight, messages));
  const auto least = quantile(all, 0), middle = quantile(all, 0.5), most = quantile(all, 1);
  std::printf("\ngraph: %d stages that add 1, in_flight %d, %llu messages, %d runs\n", stages, in_flight,
              static_cast<unsigned long long>(messages), runs);
  const Table table({"min", "median", "max"});
  table.row("ns per message and stage", {fixed(least, 0), fixed(middle, 0), fixed(most, 0)});
  nlohmann::json figures;
  figures["ns_per_message_stage"] = nlohmann::json{{"min", least}, {"median", middle}, {"max", most}};
  return figures;
}

}  // namespace tools
