// pipeline: runs a pipeline file, with a folder for what it writes.
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <ctime>
#include <fstream>
#include <memory>

#include "graph/engine.h"
#include "stages/model/threads.h"
#include "stages/play/display.h"
#include "tools/request.h"
#include "tools/stopping.h"
#include "tools/verbs.h"

namespace tools {
namespace {

namespace fs = std::filesystem;

struct Options {
  graph::Request request;
  std::string name;
  fs::path runs = "experiments";
  double quiet = 10;
};

// "2026-01-31-142530"
std::string now_as_name() {
  const auto now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d-%H%M%S", &local);
  return text;
}

// A new folder; two runs of one second get different ones.
fs::path make_folder(const Options& options) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; };
  if (options.name.starts_with('.') || !std::ranges::all_of(options.name, plain))
    throw graph::Error("--name " + options.name +
                       ": expected letters, digits and - _ . alone; --runs chooses the folder around it");
  if (options.runs.empty()) throw graph::Error("--runs is empty; expected a folder");
  std::error_code code;
  fs::create_directories(options.runs, code);
  const auto name = options.name.empty() ? now_as_name() : options.name;
  for (int copy = 1; copy < 100; ++copy) {
    const auto folder = options.runs / (copy == 1 ? name : name + "-" + std::to_string(copy));
    if (fs::create_directory(folder, code)) return folder;
    if (code)
      throw graph::Error("cannot make the run's folder " + folder.generic_string() + ": " + code.message());
    if (!options.name.empty())
      throw graph::Error(folder.generic_string() + " exists; choose another --name, or remove it");
  }
  throw graph::Error("cannot find a free name for the run below " + options.runs.generic_string());
}

void write_pipeline(const graph::Pipeline& pipeline, const fs::path& folder) {
  const auto part = folder / "pipeline.yaml.part";
  {
    std::ofstream file(part);
    file << "# " << pipeline.file
         << " with its configs, overrides and defaults, as this run had it; it runs as it is.\n"
         << graph::to_yaml(pipeline.merged) << std::flush;
    if (!file) throw graph::Error("cannot write " + part.generic_string());
  }
  fs::rename(part, folder / "pipeline.yaml");
}

void log_into(const fs::path& folder) {
  auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>((folder / "log.txt").string());
  file->set_pattern("%Y-%m-%d %H:%M:%S %l %v");
  // The file also gets what a terminal shows in another form.
  auto& logger = *spdlog::default_logger();
  for (const auto& sink : logger.sinks()) sink->set_level(spdlog::level::info);
  logger.sinks().push_back(std::move(file));
  logger.set_level(spdlog::level::debug);
  logger.flush_on(spdlog::level::debug);
}

// A run that failed before it wrote anything of its own leaves no folder behind.
void remove_if_unused(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto name = entry.path().filename();
    const bool ours = name == "pipeline.yaml" || name == "pipeline.yaml.part" || name == "log.txt";
    if (!entry.is_directory() && !ours && entry.file_size() > 0) return;
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
}

void say_drops(const graph::Engine& engine) {
  for (const auto& edge : engine.telemetry().edges)
    if (edge.counts.dropped > 0)
      spdlog::info("{} → {}: {} of {} messages dropped ({})", edge.from, edge.to, edge.counts.dropped,
                   edge.counts.arrived, graph::to_text(edge.when_full));
}

int run(Options options) {
  if (graph::has_headless(options.request.file) && !options.request.headless && !stages::has_display()) {
    spdlog::info("no display: running as with --headless");
    options.request.headless = true;
  }
  const auto pipeline = graph::load(options.request);

  graph::RunOptions run_options;
  run_options.quiet = std::chrono::milliseconds(static_cast<std::int64_t>(options.quiet * 1000));
  run_options.warn = [](const std::string& text) { spdlog::warn(text); };
  if (pipeline.writes()) {
    run_options.folder = make_folder(options);
    try {
      write_pipeline(pipeline, run_options.folder);
    } catch (...) {
      remove_if_unused(run_options.folder);
      throw;
    }
    log_into(run_options.folder);
    spdlog::info("run folder: {}", run_options.folder.generic_string());
  } else if (!options.name.empty()) {
    throw graph::Error("--name " + options.name +
                       ": no stage of this pipeline writes, so there is no folder to name");
  }
  for (const auto& note : pipeline.notes) spdlog::info(note);
  if (const auto warning = model::blas_warning(); !warning.empty()) spdlog::warn(warning);

  graph::Engine engine(pipeline, run_options);
  const Stopping stopping([&] { engine.stop(); }, [&] { return engine.whereabouts(); },
                          std::chrono::seconds(10));
  try {
    engine.run();
  } catch (const graph::Error& error) {
    spdlog::error(error.what());
    if (pipeline.writes()) remove_if_unused(run_options.folder);
    return 1;
  }
  say_drops(engine);
  return 0;
}

}  // namespace

void add_pipeline(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand(pipeline_verb, "run a pipeline file (the word may be left out)");
  auto options = std::make_shared<Options>();
  add_request(*command, options->request);
  command->add_flag("--headless", options->request.headless, "the pipeline's form without a display");
  command->add_option("--name", options->name, "of the run's folder; else date and time");
  command->add_option("--runs", options->runs, "the folder around run folders")->capture_default_str();
  command->add_option("--quiet", options->quiet, "seconds without a movement until the watchdog speaks")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 86400.0));
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tools
