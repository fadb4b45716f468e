// metrics: a line of numbers a step in metrics.jsonl, and a progress line for whoever watches.
//
// On a terminal one line is rewritten; elsewhere a plain line comes every few seconds. frames_per_second is over
// the last second or more, seconds count from the start of the run.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "graph/stage.h"
#include "stages/types.h"

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
    file.open(path, std::ios::app);
    if (!file) throw graph::Error("cannot write " + path.generic_string());
    steps = context.run->steps();
    begun = window = shown = Clock::now();
    terminal = isatty(STDERR_FILENO) == 1;
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
    file << line.dump() << '\n' << std::flush;
    if (!file) throw graph::Error("cannot write metrics.jsonl; is the disk full?");
    last = report;
    if (seconds(shown, now) >= (terminal ? 0.2 : params.every)) show(now);
  }

  void finish() {
    if (last.step == 0) return;
    show(Clock::now());
    if (terminal) std::fputc('\n', stderr);
  }

  void show(Clock::time_point now) {
    shown = now;
    const auto left = last.progress > 0 ? seconds(begun, now) * (1 - last.progress) / last.progress : 0;
    const auto of = steps ? "/" + std::to_string(steps) : std::string();
    const auto text = fmt::format("step {}{}  loss {:.4f}  {:.0f} frames/s  {}:{:02} left", last.step, of,
                                  last.loss, rate, static_cast<int>(left) / 60, static_cast<int>(left) % 60);
    if (terminal) {
      std::fprintf(stderr, "\r\033[K%s", text.c_str());
      std::fflush(stderr);
    } else {
      spdlog::info(text);
    }
  }

  static double seconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  }

  Params params;
  std::ofstream file;
  std::uint64_t steps = 0;
  Clock::time_point begun, window, shown;
  std::int64_t frames = 0;
  double rate = 0;
  bool terminal = false;
  Report last;
};

const bool registered = graph::Stage<Metrics>("metrics")
                            .summary("write the numbers of each step, and show progress")
                            .in("report", "loss, rates, gradient norm of a step")
                            .param("every", &Metrics::Params::every,
                                   "between progress lines where there is no terminal", graph::at_least(0))
                            .unit("s")
                            .on(graph::Executor::thread)
                            .writes()
                            .add();

}  // namespace
}  // namespace stages
