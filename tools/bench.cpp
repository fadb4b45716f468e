// bench: measures, prints a table. Figures are medians of several runs in one process.
#include <cstdio>

#include "tools/bench_graph.h"
#include "tools/verbs.h"

namespace tools {

void add_bench(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("bench", "measure the engine");
  command->add_subcommand("graph", "wall time of a message in a stage, with bodies that do nothing");
  command->require_subcommand(1);
  command->callback([&chosen] {
    chosen = [] {
      constexpr int stages = 5, in_flight = 64, runs = 9;
      constexpr std::uint64_t messages = 300'000;
      const auto bench = bench_graph(stages, in_flight, messages, runs);
      std::printf("graph: %d stages, in_flight %d, %llu messages, %d runs\n", stages, in_flight,
                  static_cast<unsigned long long>(messages), runs);
      std::printf("%-28s %8s %8s %8s\n", "", "min", "median", "max");
      std::printf("%-28s %8.0f %8.0f %8.0f\n", "ns per message and stage", bench.min,
                  bench.ns_per_message_stage_median, bench.max);
      return 0;
    };
  });
}

}  // namespace tools
