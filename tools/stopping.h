// stopping: Ctrl-C. The first asks the run to stop, the second or a missed deadline ends the process.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace tools {

/// While it lives, the first SIGINT or SIGTERM calls `stop`, on a thread of its own. A second one ends the process
/// at once (exit 130). A run that has not stopped `deadline` after the first ends it too (exit 1), with a line
/// that says what `whereabouts` says. One at a time.
class Stopping {
 public:
  Stopping(std::function<void()> stop, std::function<std::string()> whereabouts,
           std::chrono::milliseconds deadline);
  ~Stopping();
  Stopping(const Stopping&) = delete;

 private:
  void wait();

  std::function<void()> stop_;
  std::function<std::string()> whereabouts_;
  std::chrono::milliseconds deadline_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace tools
