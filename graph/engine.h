// engine: a checked pipeline at work on a oneTBB flow graph.
//
// Each stage is a serial graph node; what it returns leaves through broadcast nodes from inside its body, so
// that the order of messages holds; each edge ends in a lightweight node that puts the message into the
// receiving stage's inbox. Stages that block have a thread of their own and TBB's workers never wait.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graph/edge.h"
#include "graph/pipeline.h"

namespace graph {

struct RunOptions {
  std::filesystem::path folder;                  // the run's own folder, for stages that write
  std::uint64_t first = 0;                       // number of the first message
  double elapsed = 0;                            // seconds that the run took in earlier processes
  std::chrono::milliseconds quiet{10'000};       // the watchdog speaks after this long
  std::function<void(const std::string&)> warn;  // what the watchdog says; any thread
};

/// Counters of one stage, as seen at one moment.
struct StageCounts {
  std::string name;
  std::uint64_t messages = 0;    // firings of operator()
  std::uint64_t tombstones = 0;  // numbers that were filtered before or by it
  double busy_seconds = 0;
  int in_flight_peak = 0;                  // of a stage with slots
  double age_mean_ms = 0, age_max_ms = 0;  // of sinks: from the source's emission to the end of the firing
};

struct Telemetry {
  std::vector<StageCounts> stages;
  std::vector<EdgeReport> edges;
};

class Engine {
 public:
  /// Builds the graph; starts nothing. Keeps a copy of what it needs of `pipeline`.
  Engine(const Pipeline& pipeline, RunOptions options);
  ~Engine();

  /// Runs to the end on the calling thread, which becomes the `main` executor. Once only. Throws Error with
  /// the first failure: stage, its place in the YAML, message number, text. Everything has stopped by then.
  void run();

  /// Closes the sources, asks long calls to return and lets what is under way drain. Any thread, any time.
  void stop();

  /// "stage 'x' has been in message 3 for 12 s; 'y' waits for input 'a' (depth 0) …". Any thread.
  std::string whereabouts() const;

  /// Counters so far. Any thread.
  Telemetry telemetry() const;

  /// As Run::set() and Run::get(). Any thread.
  void set(const std::string& stage, const std::string& parameter, const std::string& value);
  std::string get(const std::string& stage, const std::string& parameter) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace graph
