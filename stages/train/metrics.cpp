// metrics: a line of numbers a step in metrics.jsonl, and a progress line for whoever watches.
//
// A step that was validated has a second line: step, val_loss, val_loss_at, the loss by noise level.
//
// On a terminal one line is rewritten, and only the log file gets a plain line every few seconds.
// frames_per_second is over the last second or more, seconds count from the start of the run. A run that goes
// on first takes back the lines of steps that it will repeat.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "graph/stage.h"
#include "stages/types.h"
#include "stages/whole_file.h"

namespace stages {
namespace {

struct Metrics {
  struct Params {
    double every = 5;
  };
  using Clock = std::chrono::steady_clock;

  void start(const graph::Context& context) {
    graph::require(context.run != nullptr, "metrics needs a run folder");
    const auto path = context.run->folder() / "metrics.jsonl";
    if (std::filesystem::exists(path)) take_back(path, context.run->first());
    file.open(path, std::ios::app);
    if (!file) throw graph::Error("cannot write " + path.generic_string());
    steps = context.run->steps();
    window = shown = logged = Clock::now();
    begun = window - std::chrono::duration_cast<Clock::duration>(
                         std::chrono::duration<double>(context.run->elapsed()));
    terminal = isatty(STDERR_FILENO) == 1;
  }

  // Keeps whole lines of steps up to `last`; the process may have been killed in the middle of one.
  static void take_back(const std::filesystem::path& path, std::uint64_t last) {
    std::ifstream old(path);
    const bool opened = old.is_open();
    std::string kept;
    for (std::string line; std::getline(old, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      const bool whole = json.is_object() && json.contains("step") && json["step"].is_number_unsigned();
      if (whole && json["step"].get<std::uint64_t>() <= last) kept += line + '\n';
    }
    if (!opened || old.bad()) throw graph::Error("cannot read " + path.generic_string());
    write_whole(path, kept);
  }

  void operator()(const Report& report) {
    const auto now = Clock::now();
    frames += report.frames;
    if (const auto span = seconds(window, now); span >= 1 || rate == 0) {
      rate = static_cast<double>(frames) / span;
      frames = 0;
      window = now;
    }
    const nlohmann::ordered_json line{{"step", report.step},           {"loss", report.loss},
                                      {"lr_muon", report.lr_muon},     {"lr_adam", report.lr_adam},
                                      {"grad_norm", report.grad_norm}, {"frames_per_second", rate},
                                      {"seconds", seconds(begun, now)}};
    file << line.dump() << '\n';
    if (!report.val_loss_at.empty()) write_validation(report);
    file << std::flush;
    if (!file) throw graph::Error("cannot write metrics.jsonl; is the disk full?");
    last = report;
    if (seconds(logged, now) >= params.every) log(now);
    if (terminal && seconds(shown, now) >= 0.2) show(now);
  }

  void write_validation(const Report& report) {
    val_loss = 0;
    auto at = nlohmann::ordered_json::object();
    for (const auto& [level, loss] : report.val_loss_at) {
      at[fmt::format("{:g}", level)] = loss;
      *val_loss += loss / static_cast<double>(report.val_loss_at.size());
    }
    file << nlohmann::ordered_json{{"step", report.step}, {"val_loss", *val_loss}, {"val_loss_at", at}}.dump()
         << '\n';
  }

  void finish() {
    if (last.step == 0) return;
    const auto now = Clock::now();
    log(now);
    if (!terminal) return;
    show(now);
    std::fputc('\n', stderr);
  }

  void log(Clock::time_point now) {
    logged = now;
    spdlog::log(terminal ? spdlog::level::debug : spdlog::level::info, text(now));
  }

  void show(Clock::time_point now) {
    shown = now;
    std::fprintf(stderr, "\r\033[K%s", text(now).c_str());
    std::fflush(stderr);
  }

  std::string text(Clock::time_point now) const {
    auto line = fmt::format("step {}", last.step);
    if (steps) line += fmt::format("/{}", steps);
    line += fmt::format("  loss {:.4f}  {:.0f} frames/s", last.loss, rate);
    if (val_loss) line += fmt::format("  validation {:.4f}", *val_loss);
    if (last.progress > 0) {
      const auto left = seconds(begun, now) * (1 - last.progress) / last.progress;
      line += fmt::format("  {:.0f}:{:02.0f} left", std::floor(left / 60), std::floor(std::fmod(left, 60)));
    }
    return line;
  }

  static double seconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  }

  Params params;
  std::ofstream file;
  std::uint64_t steps = 0;
  Clock::time_point begun, window, shown, logged;
  std::int64_t frames = 0;
  double rate = 0;
  bool terminal = false;
  Report last;
  std::optional<double> val_loss;  // the newest
};

const bool registered =
    graph::Stage<Metrics>("metrics")
        .summary("write the numbers of each step, and show progress")
        .in("report", "loss, rates, gradient norm of a step")
        .param("every", &Metrics::Params::every,
               "between progress lines, on a terminal those of the log file", graph::at_least(0))
        .unit("s")
        .live()
        .on(graph::Executor::thread)
        .writes()
        .add();

}  // namespace
}  // namespace stages
