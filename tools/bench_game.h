// bench_game: what benches of play share: a game that runs in this process, and quantiles.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "graph/engine.h"
#include "stages/model/config.h"
#include "stages/wire/publisher.h"
#include "stages/wire/server.h"
#include "tools/scratch_folder.h"

namespace tools {

struct GameSetup {
  model::Config model;
  std::string taps, control;           // endpoints; tcp://127.0.0.1:0 is any free port
  std::vector<std::string> overrides;  // of pipelines/serve.yaml
};

/// The moment at which a frame was done.
struct FrameMark {
  std::uint64_t frames = 0;  // since the start, this one included
  std::int64_t players = 0;  // in this one
  double seconds = 0;        // of a steady clock
  double cpu_seconds = 0;    // of all threads of this process
};

/// pipelines/serve.yaml with random weights, from construction to destruction on threads of its own. Throws
/// graph::Error when it cannot start.
class BenchGame {
 public:
  explicit BenchGame(const GameSetup& setup);
  ~BenchGame();
  BenchGame(const BenchGame&) = delete;

  /// Waits for the end of a frame. Throws what the game failed with, or when none comes in a minute.
  FrameMark next();

  stages::Publisher& taps() const { return *publisher_; }
  std::string control() const { return server_->endpoint(); }
  graph::Telemetry telemetry() const { return engine_.telemetry(); }

 private:
  void run();
  void begin();
  void note(std::int64_t players);

  const ScratchFolder folder_;
  const std::shared_ptr<stages::Publisher> publisher_;
  const std::shared_ptr<stages::Server> server_;
  graph::Engine engine_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool started_ = false, over_ = false;
  std::exception_ptr error_;
  std::uint64_t frames_ = 0;
  std::optional<FrameMark> mark_;  // empty while somebody waits for the next one
  std::thread thread_;
};

/// The network of configs/cpu-small.yaml.
model::Config cpu_small();

/// Of at least one number; `share` from 0 to 1, 0.5 is the median. Linear between neighbours.
double quantile(std::vector<double> numbers, double share);

}  // namespace tools
