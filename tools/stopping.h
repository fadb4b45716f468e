// stopping: Ctrl-C. The first asks the run to stop, the second or a missed deadline ends the process.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace tools {

/// While it lives, SIGINT and SIGTERM call `stop`, once, on a thread of its own. A second signal ends the
/// process at once (exit 130). A run that has not stopped `deadline` after the first one ends it too (exit 1),
/// with a line that says what `whereabouts` says.
class Stopping {
 public:
  /// Keeps the signals for the thread of a Stopping; to be called before other threads start, which inherit it.
  static void block_signals();

  Stopping(std::function<void()> stop, std::function<std::string()> whereabouts,
           std::chrono::milliseconds deadline);
  ~Stopping();

 private:
  void wait();

  std::function<void()> stop_;
  std::function<std::string()> whereabouts_;
  std::chrono::milliseconds deadline_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace tools
