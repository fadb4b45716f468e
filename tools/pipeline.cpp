// pipeline: runs a pipeline file, with a folder for what it writes, or goes on with the run of such a folder.
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>

#include "stages/play/display.h"
#include "stages/train/resume_file.h"
#include "tools/request.h"
#include "tools/run_folder.h"
#include "tools/run_pipeline.h"
#include "tools/verbs.h"

namespace tools {
namespace {

namespace fs = std::filesystem;

struct Options {
  graph::Request request;
  fs::path config;
  std::string name;
  fs::path runs;
  double quiet = 10;
};

int run(const graph::Pipeline& pipeline, const Options& options, const RunFolder* folder,
        const stages::Reached& reached) {
  graph::RunOptions run_options;
  run_options.quiet = std::chrono::milliseconds(static_cast<std::int64_t>(options.quiet * 1000));
  run_options.first = reached.step;
  run_options.elapsed = reached.seconds;
  if (folder) {
    run_options.folder = folder->path();
    folder->take_log();
    spdlog::info("run folder: {}", folder->path().generic_string());
  }
  return run_pipeline(pipeline, run_options).code;
}

int start(Options options) {
  if (graph::has_headless(options.request.file) && !options.request.headless && !stages::has_display()) {
    spdlog::info("no display: running as with --headless");
    options.request.headless = true;
  }
  const auto pipeline = graph::load(options.request);
  if (!pipeline.writes()) {
    if (!options.name.empty())
      throw graph::Error("--name " + options.name +
                         ": no stage of this pipeline writes, so there is no folder to name");
    return run(pipeline, options, nullptr, {});
  }
  const auto folder =
      RunFolder::make(options.runs.empty() ? "experiments" : options.runs, options.name, pipeline);
  // A run that failed before it wrote anything of its own leaves no folder behind.
  try {
    const int code = run(pipeline, options, &folder, {});
    if (code != 0) folder.remove_if_unused();
    return code;
  } catch (...) {
    folder.remove_if_unused();
    throw;
  }
}

int go_on(Options options) {
  const fs::path path = options.request.file;
  if (!options.name.empty() || !options.runs.empty() || options.request.headless)
    throw graph::Error(path.generic_string() +
                       " is a run that goes on: --name, --runs and --headless are for new ones");
  options.request.file = path / "pipeline.yaml";
  if (!fs::exists(options.request.file))
    throw graph::Error(path.generic_string() + " is no run folder: it has no pipeline.yaml");
  const auto before = graph::load({.file = options.request.file});
  const auto now = graph::load(options.request);
  check_changes(before, now);
  if (!now.resumes())
    throw graph::Error(path.generic_string() + ": its pipeline keeps nothing to go on from; `./run " +
                       options.request.file.generic_string() + "` runs it anew");
  const auto folder = RunFolder::reopen(path);
  const auto reached = stages::reached(path);
  if (stages::is_done(reached, now.stop)) {
    spdlog::info("{} is done, at step {}; --set stop.steps={} would go on", path.generic_string(),
                 reached.step, 2 * reached.step);
    return 0;
  }
  spdlog::info("going on from step {}", reached.step);
  for (const auto& edge : now.edges)
    if (edge.feedback > 1 && reached.step > 0)
      spdlog::warn(
          "with feedback: {} the first steps see newer weights than they would have: the run goes on, "
          "but not bit for bit",
          edge.feedback);
  if (graph::to_yaml(before.merged) != graph::to_yaml(now.merged)) folder.write(now);
  return run(now, options, &folder, reached);
}

}  // namespace

void add_pipeline(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand(
      pipeline_verb, "run a pipeline file, or go on with a run folder (the word may be left out)");
  auto options = std::make_shared<Options>();
  add_request(*command, options->request);
  command->add_option(
      "--config", options->config,
      "a config (or .json) of whose values only `model:` is taken: what a Python checkpoint is for");
  command->add_flag("--headless", options->request.headless, "the pipeline's form without a display");
  command->add_option("--name", options->name, "of the run's folder; else date and time");
  command->add_option("--runs", options->runs, "the folder around new run folders; else experiments")
      ->check([](const std::string& text) { return text.empty() ? "is empty; expected a folder" : ""; });
  command->add_option("--quiet", options->quiet, "seconds without a movement until the watchdog speaks")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 86400.0));
  command->callback([options, &chosen] {
    chosen = [options] {
      if (!options->config.empty()) take_model(options->config, options->request);
      return fs::is_directory(options->request.file) ? go_on(*options) : start(*options);
    };
  });
}

}  // namespace tools
