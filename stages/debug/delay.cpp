// delay: passes everything on, late. Makes any stage slow, to see what the others do.
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "graph/stage.h"

namespace stages {
namespace {

struct Delay {
  struct Params {
    double seconds = 0.1;
  };

  graph::Any operator()(const graph::Any& message, const graph::Context& context) {
    std::unique_lock lock(mutex);
    wait.wait_for(lock, context.stop_token(), std::chrono::duration<double>(params.seconds),
                  [] { return false; });
    return message;
  }

  Params params;
  std::mutex mutex;
  std::condition_variable_any wait;
};

const bool registered = graph::Stage<Delay>("delay")
                            .summary("pass everything on, late")
                            .in("messages", "anything")
                            .out("delayed", "the same")
                            .param("seconds", &Delay::Params::seconds, "how late", graph::at_least(0))
                            .unit("s")
                            .live()
                            .on(graph::Executor::thread)
                            .add();

}  // namespace
}  // namespace stages
