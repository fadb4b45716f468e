// run_pipeline: engine, Ctrl-C, what is logged.
#include "tools/run_pipeline.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "stages/model/threads.h"
#include "tools/stopping.h"

namespace tools {
namespace {

void say_drops(const graph::Telemetry& telemetry) {
  for (const auto& edge : telemetry.edges)
    if (edge.counts.dropped > 0)
      spdlog::info("{} → {}: {} of {} messages dropped ({})", edge.from, edge.to, edge.counts.dropped,
                   edge.counts.arrived, graph::to_text(edge.when_full));
}

}  // namespace

Ran run_pipeline(const graph::Pipeline& pipeline, graph::RunOptions options) {
  for (const auto& note : pipeline.notes) spdlog::info(note);
  if (const auto warning = model::blas_warning(); !warning.empty()) spdlog::warn(warning);
  options.warn = [](const std::string& text) { spdlog::warn(text); };
  graph::Engine engine(pipeline, std::move(options));
  const Stopping stopping([&] { engine.stop(); }, [&] { return engine.whereabouts(); },
                          std::chrono::seconds(10));
  try {
    engine.run();
  } catch (const graph::Error& error) {
    spdlog::error(error.what());
    return {1, engine.telemetry()};
  }
  const auto telemetry = engine.telemetry();
  say_drops(telemetry);
  return {0, telemetry};
}

std::filesystem::path project_file(const std::string& path) {
  std::error_code code;
  // ROOT/build/PRESET/tools/worldline
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", code);
  const auto file = binary.parent_path().parent_path().parent_path().parent_path() / path;
  return std::filesystem::exists(file, code) ? file : std::filesystem::path(path);
}

}  // namespace tools
