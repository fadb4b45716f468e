// eval: measures what a player of a model would notice: pipelines/eval.yaml's figures, and how fast it dreams.
//
// Speed is measured with the same pipeline, a stopwatch in the judge's place, one frame under way at a time.
#include <spdlog/spdlog.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "stages/eval/figures.h"
#include "stages/find_checkpoint.h"
#include "stages/model/python_checkpoint.h"
#include "stages/play/evaluations.h"
#include "stages/pong/simulator.h"
#include "stages/settings.h"
#include "stages/whole_file.h"
#include "tools/request.h"
#include "tools/run_pipeline.h"
#include "tools/scratch_folder.h"
#include "tools/verbs.h"

namespace tools {
namespace {

namespace fs = std::filesystem;
using stages::Figures;

struct Options {
  std::string checkpoint;
  fs::path config, json, pipeline;
  bool quick = false;
  graph::Request request;
};

// Players in one batch, and as many frames as take some seconds on two cores. One player's p99 needs the most.
struct Crowd {
  int players, frames;
};
constexpr std::array crowds{Crowd{1, 300}, Crowd{4, 100}, Crowd{16, 40}, Crowd{64, 15}};
constexpr int quick_share = 3;  // so many times fewer

// JSON's quoted text is YAML's too.
std::string assign(const std::string& key, const Figures& value) { return key + "=" + value.dump(); }

// What the weights say of themselves. One file for all runs, since in a folder the newest may change meanwhile.
void fit(Options& options) {
  const auto weights = stages::find_checkpoint(options.checkpoint, "checkpoint");
  std::optional<model::Config> given;
  if (!options.config.empty()) given = stages::read_model(options.config);
  const auto sizes = model::load_weights(weights, given).config;
  graph::require(sizes.in_channels == 3 && sizes.n_actions > pong::action_count,
                 "this model does not dream Pong: that has 3 colours and 4 actions");
  auto& overrides = options.request.overrides;
  const std::vector<std::string> own{
      assign("denoise.checkpoint", weights.string()), assign("episodes.height", sizes.height),
      assign("episodes.width", sizes.width),
      assign("episodes.render", sizes.background == "zero" ? "point" : "area")};
  overrides.insert(overrides.begin(), own.begin(), own.end());
  if (!options.config.empty()) take_model(options.config, options.request);
  options.request.file = project_file("pipelines/eval.yaml");
  if (options.quick) options.request.configs.push_back(project_file("configs/eval-quick.yaml"));
}

// Runs with some more overrides, and reads what the last stage wrote; null when the run failed or was stopped.
Figures measure(graph::Request request, const std::vector<std::string>& more, const fs::path& file) {
  request.overrides.insert(request.overrides.end(), more.begin(), more.end());
  request.overrides.push_back(assign("judged.path", file.string()));
  if (run_pipeline(graph::load(request), {}).code != 0) return nullptr;
  std::ifstream stream(file);
  if (stream) return Figures::parse(stream);
  spdlog::error("stopped before the end, so there are no figures");
  return nullptr;
}

// Null as above.
Figures speed_of(const Options& options, const ScratchFolder& scratch) {
  auto rates = Figures::object(), latency = Figures::object();
  for (const auto& [players, frames] : crowds) {
    spdlog::info("how fast it dreams, with players in one batch: {}", players);
    const auto level = spdlog::get_level();
    spdlog::set_level(spdlog::level::warn);  // what is played is known by now
    const auto name = std::to_string(players);
    const auto timed =
        measure(options.request,
                {"judged.type=stopwatch", "judged.from=frames", assign("episodes.games", players),
                 assign("episodes.frames", options.quick ? frames / quick_share : frames),
                 "episodes.free_games=0", "episodes.in_flight=1"},
                scratch / ("speed-" + name));
    spdlog::set_level(level);
    if (timed.is_null()) return nullptr;
    rates[name] = players * timed.at("messages_per_second").get<double>();
    if (players == 1) latency = {{"p50", timed.at("p50_ms")}, {"p99", timed.at("p99_ms")}};
  }
  return {{"frames_per_second", rates}, {"latency_ms", latency}};
}

int eval(Options options) {
  for (const auto& file : {options.json, options.pipeline})
    if (!file.empty() && !fs::is_directory(fs::absolute(file).parent_path()))
      throw graph::Error(file.generic_string() + ": there is no such folder to write it into");
  fit(options);
  const auto measured = graph::load(options.request).merged;
  if (!options.pipeline.empty())
    stages::write_whole(options.pipeline,
                        "# What was measured, with its configs, overrides and defaults; it runs as it is.\n" +
                            graph::to_yaml(measured));
  const ScratchFolder scratch;
  auto figures = measure(options.request, {}, scratch / "figures");
  if (figures.is_null()) return 1;
  auto speed = speed_of(options, scratch);
  if (speed.is_null()) return 1;
  const auto evaluations = stages::evaluations_per_frame(*measured.find("stages")->find("denoise"));
  speed["evaluations_per_frame"] = evaluations ? Figures(*evaluations) : Figures();
  std::fputs(stages::table(speed).c_str(), stdout);
  figures.update(speed);
  if (!options.json.empty()) stages::write_whole(options.json, figures.dump(2) + "\n");
  return 0;
}

}  // namespace

void add_eval(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("eval", "measure what a player of a model would notice");
  auto options = std::make_shared<Options>();
  command->add_option("checkpoint", options->checkpoint, "a weights file, or a run folder for its newest")
      ->required()
      ->check(not_empty);
  command->add_option("--json", options->json, "a file for the figures")->check(not_empty);
  command->add_option("--pipeline", options->pipeline, "a file for the merged pipeline that is measured")
      ->check(not_empty);
  command->add_flag("--quick", options->quick, "a minute, with fewer and shorter games: rougher figures");
  command->add_option("--config", options->config,
                      "a config (or .json) of whose values only `model:` is taken: what a Python checkpoint "
                      "is for");
  add_overrides(*command, options->request);
  command->callback([options, &chosen] { chosen = [options] { return eval(*options); }; });
}

}  // namespace tools
