// bench: measures what things cost, and prints tables. One file a bench.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "graph/error.h"
#include "stages/whole_file.h"
#include "tools/bench_graph.h"
#include "tools/bench_players.h"
#include "tools/bench_taps.h"
#include "tools/request.h"
#include "tools/verbs.h"

namespace tools {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

Json graph_figures() {
  constexpr int stages = 5, in_flight = 64, runs = 9;
  constexpr std::uint64_t messages = 300'000;
  const auto bench = bench_graph(stages, in_flight, messages, runs);
  std::printf("graph: %d stages, in_flight %d, %llu messages, %d runs\n", stages, in_flight,
              static_cast<unsigned long long>(messages), runs);
  std::printf("%-28s %8s %8s %8s\n", "", "min", "median", "max");
  std::printf("%-28s %8.0f %8.0f %8.0f\n", "ns per message and stage", bench.min,
              bench.ns_per_message_stage_median, bench.max);
  Json figures;
  figures["ns_per_message_stage"] =
      Json{{"min", bench.min}, {"median", bench.ns_per_message_stage_median}, {"max", bench.max}};
  return figures;
}

struct Bench {
  std::string name, summary;
  Json (*measure)();  // prints a table, and gives its figures
};

const std::vector<Bench>& benches() {
  static const std::vector<Bench> all{
      {"graph", "wall time of a message in a stage, with bodies that do nothing", graph_figures},
      {"taps", "what readers of taps cost a game, and the time from an act to its frame", bench_taps},
      {"players", "frames a second of many players in one batch", bench_players}};
  return all;
}

int bench(const std::vector<std::string>& names, const fs::path& json) {
  if (!json.empty() && !fs::is_directory(fs::absolute(json).parent_path()))
    throw graph::Error(json.generic_string() + ": there is no such folder to write it into");
  spdlog::set_level(spdlog::level::warn);  // where games listen, and what they play, is nothing to know here
  Json figures;
  for (const auto& name : names) figures[name] = std::ranges::find(benches(), name, &Bench::name)->measure();
  if (!json.empty()) stages::write_whole(json, figures.dump(2) + "\n");
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("bench", "measure what things cost");
  auto json = std::make_shared<fs::path>();
  command->add_option("--json", *json, "a file for the figures")->check(not_empty);
  for (const auto& each : benches()) command->add_subcommand(each.name, each.summary)->fallthrough();
  command->require_subcommand(1, 0);  // or several, one after the other
  command->callback([command, json, &chosen] {
    std::vector<std::string> names;
    for (const auto* each : command->get_subcommands()) names.push_back(each->get_name());
    chosen = [names, json] { return bench(names, *json); };
  });
}

}  // namespace tools
