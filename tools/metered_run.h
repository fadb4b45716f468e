// metered_run: a pipeline at work on threads of its own, and when each message of one of its outputs was done.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "graph/engine.h"
#include "graph/message.h"

namespace tools {

/// The moment at which a message was done.
struct Mark {
  std::uint64_t messages = 0;  // since the start, this one included
  graph::Any message;
  double seconds = 0;      // of a steady clock
  double cpu_seconds = 0;  // of all threads of this process
};

/// Work from the end of one message to the end of a later one.
struct Stretch {
  double messages = 0, seconds = 0;
  std::vector<double> gaps;            // seconds from the end of one message to that of the next
  std::map<std::string, double> busy;  // by stage: seconds that it was at work per message of the output

  double rate() const { return messages / seconds; }
};

class MeteredRun {
 public:
  /// Returns when all stages have started. Throws graph::Error when one cannot, or when there is no such output.
  MeteredRun(graph::Pipeline pipeline, const std::string& stage, const std::string& output);
  /// Ends the run; what is under way is drained.
  ~MeteredRun();
  MeteredRun(const MeteredRun&) = delete;

  /// Waits for the end of a message. Throws what the run failed with, or when none comes in ten minutes.
  Mark next();

  /// From the next message on: so many stretches, one behind the other, `seconds` in all. Each ends with a message, so
  /// they take longer where messages do.
  std::vector<Stretch> stretches(int count, double seconds);

  graph::Telemetry telemetry() const { return engine_.telemetry(); }

 private:
  void run();
  void note_start();
  void note_message(const graph::Any& message);
  std::vector<double> gaps_between(std::uint64_t from, std::uint64_t to);
  std::map<std::string, double> busy() const;

  graph::Engine engine_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool started_ = false, over_ = false;
  std::exception_ptr error_;
  std::vector<double> ends_;  // of all messages so far
  std::optional<Mark> mark_;  // empty while somebody waits for the next one
  std::thread thread_;
};

}  // namespace tools
