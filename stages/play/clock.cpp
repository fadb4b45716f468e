// clock: says when it is time for the next frame.
//
// Ticks lie on a fixed grid of 1/rate seconds from the first one on, or from the last change of the rate, so the clock
// does not drift. One frame is under way at a time; a tick that comes while the frame before is not ready is skipped
// and counted, never made up for.
#include <spdlog/spdlog.h>

#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "graph/stage.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Clock {
  struct Params {
    double rate = 30;
    bool realtime = true;
  };
  using Time = std::chrono::steady_clock;

  std::optional<Tick> operator()(const graph::Context& context) {
    if (!params.realtime) return Tick{};
    if (!begun) {
      begun = Time::now();
      rate = params.rate;
      return Tick{};
    }
    if (params.rate != rate) {
      *begun += after(tick);
      ticks += std::exchange(tick, 0);
      rate = params.rate;
    }
    const auto late = std::chrono::duration<double>(Time::now() - *begun).count() * rate;
    const auto next = std::max(static_cast<std::uint64_t>(std::ceil(late)), tick + 1);
    const Tick due{next - tick - 1};
    tick = next;
    skipped += due.skipped;
    return context.sleep_until(*begun + after(tick)) ? std::optional(due) : std::nullopt;
  }

  Time::duration after(std::uint64_t n) const {
    return std::chrono::duration_cast<Time::duration>(
        std::chrono::duration<double>(static_cast<double>(n) / rate));
  }

  void finish() const {
    if (skipped > 0)
      spdlog::info("clock: {} of {} ticks skipped because the frame before was late", skipped, ticks + tick);
  }

  Params params;
  std::optional<Time::time_point> begun;
  double rate = 0;                                 // of the grid that begins at `begun`
  std::uint64_t tick = 0, ticks = 0, skipped = 0;  // on this grid, on those before
};

using P = Clock::Params;
const bool registered = graph::Stage<Clock>("clock")
                            .summary("say when it is time for the next frame")
                            .out("tick", "ticks skipped since the last one")
                            .param("rate", &P::rate, "frames in a second", graph::between(1, 10000))
                            .unit("Hz")
                            .live()
                            .param("realtime", &P::realtime, "false: tick as fast as frames get ready")
                            .in_flight(1)
                            .add();

}  // namespace
}  // namespace stages
