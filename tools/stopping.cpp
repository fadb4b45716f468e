// stopping: a handler that counts, and a thread that acts on it.
//
// Blocking the signals and waiting for them would not do: libraries start threads before main() and the system
// may hand the signal to one of those.
#include "tools/stopping.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <optional>
#include <utility>

namespace tools {
namespace {

std::atomic<int> caught{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

}  // namespace

Stopping::Stopping(std::function<void()> stop, std::function<std::string()> whereabouts,
                   std::chrono::milliseconds deadline)
    : stop_(std::move(stop)), whereabouts_(std::move(whereabouts)), deadline_(deadline) {
  caught = 0;
  handle([](int) { ++caught; });
  thread_ = std::thread([this] { wait(); });
}

Stopping::~Stopping() {
  done_ = true;
  thread_.join();
  handle(SIG_DFL);
}

void Stopping::wait() {
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> asked;
  while (!done_) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (caught > 1) {
      spdlog::warn("stopped at once");
      std::_Exit(130);
    }
    if (caught == 1 && !asked) {
      spdlog::info("stopping; press Ctrl-C again to stop at once");
      asked = Clock::now();
      stop_();
    }
    if (asked && Clock::now() - *asked > deadline_) {
      spdlog::error("did not stop in {} s: {}", deadline_.count() / 1000, whereabouts_());
      std::_Exit(1);
    }
  }
}

}  // namespace tools
