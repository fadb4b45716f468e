// bench_game: what benches of play share: a game that runs in this process.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "stages/model/config.h"
#include "stages/wire/publisher.h"
#include "stages/wire/server.h"
#include "tools/metered_run.h"
#include "tools/scratch_folder.h"

namespace tools {

/// A weights file of such a network, drawn at random: all of it, also where its `init` begins with zeros, since no
/// trained network is zero there. Throws std::exception.
void save_random_weights(const std::filesystem::path& path, model::Config config);

struct GameSetup {
  model::Config model;
  std::string taps, control;           // endpoints; tcp://127.0.0.1:0 is any free port
  std::vector<std::string> overrides;  // of pipelines/serve.yaml
};

/// pipelines/serve.yaml with random weights, from construction to destruction on threads of its own; its games begin
/// with a full window. The messages that are metered are its frames. Throws graph::Error when it cannot start.
class BenchGame {
 public:
  explicit BenchGame(const GameSetup& setup);

  MeteredRun& run() { return run_; }
  stages::Publisher& taps() const { return *publisher_; }
  std::string control() const { return server_->endpoint(); }

 private:
  const ScratchFolder folder_;
  const std::shared_ptr<stages::Publisher> publisher_;
  const std::shared_ptr<stages::Server> server_;
  MeteredRun run_;
};

}  // namespace tools
