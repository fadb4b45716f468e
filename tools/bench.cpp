// bench: measures what things cost, and prints tables. One file a bench.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "graph/error.h"
#include "stages/whole_file.h"
#include "tools/bench_training.h"
#include "tools/benches.h"
#include "tools/memory.h"
#include "tools/request.h"
#include "tools/run_pipeline.h"
#include "tools/verbs.h"

namespace tools {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

struct Bench {
  std::string name, summary;
  Json (*measure)(const BenchSetup& setup);
  bool of_model = false;    // told as a share of the machine's peak
  bool when_named = false;  // not measured when nothing is named
};

const std::vector<Bench>& benches() {
  static const std::vector<Bench> all{
      {"train", "steps of training, and their parts", bench_train, true},
      {"play", "frames of one player, and their parts", bench_play, true},
      {"sampling", "frames of many players in one batch", bench_sampling, true},
      {"data", "the simulator, and the stages that make clips of it", bench_data},
      {"graph", "wall time of a message in a stage, with bodies that do nothing", bench_graph},
      {"taps", "what readers of taps cost a game, and the time from an act to its frame", bench_taps, false,
       true}};
  return all;
}

struct Options {
  BenchSetup setup;
  fs::path json;
};

// How fast the machine is now, which on a shared one changes with its neighbours.
void look_at_machine(BenchSetup& setup) {
  std::fprintf(stderr, "this machine's peak\n");
  setup.peak = measure_peak();
  std::printf("\nthis machine, now: %.1f GFLOP/s on all cores (%u), %.1f on one\n", setup.peak.all_cores,
              std::thread::hardware_concurrency(), setup.peak.one_core);
  std::fflush(stdout);
}

int bench(const std::vector<const Bench*>& chosen, Options options) {
  auto& [setup, json] = options;
  if (!json.empty() && !fs::is_directory(fs::absolute(json).parent_path()))
    throw graph::Error(json.generic_string() + ": there is no such folder to write it into");
  spdlog::set_level(spdlog::level::warn);  // where games listen, and what they play, is nothing to know here
  if (setup.config.empty()) setup.config = project_file("configs/bench-small.yaml");
  setup.model = trained_model(setup.config);
  Json figures;
  if (std::ranges::any_of(chosen, &Bench::of_model))
    std::printf(
        "Peaks are the best of several products of single-precision matrices, right before what is a share "
        "of them; a\n"
        "share is of all cores', and of the counts in stages/model/flops.h; on AMX it may be above 100 %%. "
        "Memory is the\n"
        "most that the whole process had resident since %s.\n",
        reset_peak_memory() ? "the bench began" : "it began, for this system does not let that be reset");
  figures["config"] = setup.config.stem().string();
  Peak best;
  for (const auto* each : chosen) {
    if (each->of_model) {
      look_at_machine(setup);
      best = {std::max(best.all_cores, setup.peak.all_cores), std::max(best.one_core, setup.peak.one_core)};
      figures["peak_gflops"] = best.all_cores;
      figures["peak_gflops_one_core"] = best.one_core;
      reset_peak_memory();
    }
    figures[each->name] = each->measure(setup);
    if (each->of_model) figures[each->name]["peak_gflops"] = setup.peak.all_cores;
  }
  if (!json.empty()) stages::write_whole(json, figures.dump(2) + "\n");
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("bench", "measure what things cost");
  auto options = std::make_shared<Options>();
  auto& setup = options->setup;
  command
      ->add_option("--config", setup.config,
                   "whose model train, play, sampling and data measure; else configs/bench-small.yaml")
      ->check(not_empty);
  command->add_option("--batch", setup.batch, "clips that a step trains on")
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  command
      ->add_option("--seconds", setup.seconds,
                   "that one measurement lasts; longer where a step or a frame does")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 3600.0));
  command->add_option("--json", options->json, "a file for the figures")->check(not_empty);
  for (const auto& each : benches()) command->add_subcommand(each.name, each.summary)->fallthrough();
  command->require_subcommand(0, 0);  // none is all but taps, several go one after the other
  command->callback([command, options, &chosen] {
    std::vector<const Bench*> named;
    for (const auto* each : command->get_subcommands())
      named.push_back(&*std::ranges::find(benches(), each->get_name(), &Bench::name));
    if (named.empty())
      for (const auto& each : benches())
        if (!each.when_named) named.push_back(&each);
    chosen = [named, options] { return bench(named, *options); };
  });
}

}  // namespace tools
