// count: counts what arrives, and says how many and how fast at the end.
#include <spdlog/spdlog.h>

#include <chrono>

#include "graph/stage.h"

namespace stages {
namespace {

struct Count {
  using Clock = std::chrono::steady_clock;

  void start() { begun = Clock::now(); }
  void operator()(const graph::Any&) { ++messages; }
  void finish(const graph::Context& context) const {
    const auto seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    spdlog::info("{}: {} messages, {:.1f} a second", context.stage, messages,
                 static_cast<double>(messages) / seconds);
  }

  Clock::time_point begun;
  std::uint64_t messages = 0;
};

const bool registered =
    graph::Stage<Count>("count").summary("count what arrives").in("messages", "anything").add();

}  // namespace
}  // namespace stages
