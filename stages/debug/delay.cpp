// delay: passes everything on, late. Makes any stage slow, to see what the others do.
#include <chrono>

#include "graph/stage.h"

namespace stages {
namespace {

struct Delay {
  struct Params {
    double seconds = 0.1;
  };

  graph::Any operator()(const graph::Any& message, const graph::Context& context) {
    using Clock = std::chrono::steady_clock;
    context.sleep_until(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(params.seconds)));
    return message;
  }

  Params params;
};

const bool registered = graph::Stage<Delay>("delay")
                            .summary("pass everything on, late")
                            .in("messages", "anything")
                            .out("delayed", "the same")
                            .param("seconds", &Delay::Params::seconds, "how late", graph::between(0, 86400))
                            .unit("s")
                            .live()
                            .on(graph::Executor::thread)
                            .add();

}  // namespace
}  // namespace stages
