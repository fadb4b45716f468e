// stopwatch: how long it takes from one message to the next.
//
// Behind a source with in_flight: 1 nothing overlaps, and that is the time from a message's beginning to its end: what
// who waits for it waits. Quantiles are the nearest rank's.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "graph/stage.h"
#include "stages/whole_file.h"

namespace stages {
namespace {

struct Stopwatch {
  struct Params {
    std::string path;
    std::int64_t skip = 2;
  };
  using Clock = std::chrono::steady_clock;

  void operator()(const graph::Any&) {
    const auto now = Clock::now();
    if (arrived > 0 && arrived >= params.skip)
      ms.push_back(std::chrono::duration<double, std::milli>(now - before).count());
    ++arrived;
    before = now;
  }

  void finish(const graph::Context& context) {
    if (ms.empty() || context.stopping()) return;
    double sum = 0;
    for (const auto each : ms) sum += each;
    std::ranges::sort(ms);
    const auto rate = 1000 * static_cast<double>(ms.size()) / sum;
    const auto p50 = quantile(0.5), p99 = quantile(0.99);
    spdlog::info("{}: {:.1f} messages a second, {:.2f} ms each at the median, {:.2f} ms at p99",
                 context.stage, rate, p50, p99);
    if (params.path.empty()) return;
    const nlohmann::ordered_json figures{{"messages_per_second", rate}, {"p50_ms", p50}, {"p99_ms", p99}};
    write_whole(params.path, figures.dump(2) + "\n");
  }

  double quantile(double share) const {
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(ms.size())));
    return ms[std::max<std::size_t>(rank, 1) - 1];
  }

  Params params;
  std::int64_t arrived = 0;
  Clock::time_point before;
  std::vector<double> ms;
};

using P = Stopwatch::Params;
const bool registered =
    graph::Stage<Stopwatch>("stopwatch")
        .summary("measure how long it takes from one message to the next")
        .in("messages", "anything")
        .param("path", &P::path, "a JSON file for the figures; empty: none")
        .param("skip", &P::skip, "messages at first that are not measured, as caches and memory are made",
               graph::at_least(0))
        .unit("messages")
        .on(graph::Executor::thread)
        .add();

}  // namespace
}  // namespace stages
