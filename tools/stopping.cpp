// stopping: signals are waited for, not handled, so that their code may do what it likes.
#include "tools/stopping.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <optional>
#include <utility>

namespace tools {
namespace {

sigset_t signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&set, signal);
  return set;
}

}  // namespace

void Stopping::block_signals() {
  const auto set = signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Stopping::Stopping(std::function<void()> stop, std::function<std::string()> whereabouts,
                   std::chrono::milliseconds deadline)
    : stop_(std::move(stop)), whereabouts_(std::move(whereabouts)), deadline_(deadline) {
  thread_ = std::thread([this] { wait(); });
}

Stopping::~Stopping() {
  done_ = true;
  thread_.join();
}

void Stopping::wait() {
  using Clock = std::chrono::steady_clock;
  const auto set = signals();
  const timespec period{0, 50'000'000};
  std::optional<Clock::time_point> asked;
  while (!done_) {
    const bool caught = sigtimedwait(&set, nullptr, &period) > 0;
    if (caught && asked) {
      spdlog::warn("stopped at once");
      std::_Exit(130);
    }
    if (caught) {
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
