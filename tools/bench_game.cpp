// bench_game: pipelines/serve.yaml, and behind its frames a stage that counts them.
#include "tools/bench_game.h"

#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "graph/pipeline.h"
#include "graph/stage.h"
#include "stages/model/mmdit.h"
#include "stages/model/weights_file.h"
#include "stages/settings.h"
#include "stages/types.h"
#include "tools/run_pipeline.h"
#include "tools/taps.h"

namespace tools {
namespace {

namespace fs = std::filesystem;

struct Meter {
  struct Params {
    std::function<void()> started;
    std::function<void(const stages::Frame&)> take;
  };

  void start() const { params.started(); }
  void operator()(const stages::Frame& frame) const { params.take(frame); }

  Params params;
};

const graph::StageType& meter() {
  static const auto type = graph::Stage<Meter>("meter").in("frame", "").type();
  return type;
}

graph::Pipeline pipeline_of(const GameSetup& setup, const fs::path& weights, Meter::Params watch) {
  const model::Mmdit network(setup.model);
  model::save(weights, setup.model, network.initialise(0));
  graph::Request request{
      .file = project_file("pipelines/serve.yaml"), .overrides = setup.overrides, .expand = expand_taps};
  // JSON's quoted text is YAML's too.
  const auto set = [&](const std::string& key, const nlohmann::json& value) {
    request.overrides.push_back(key + "=" + value.dump());
  };
  set("endpoint", setup.taps);
  set("control.endpoint", setup.control);
  set("denoise.checkpoint", weights.string());
  auto pipeline = graph::load(request);
  const auto frames = std::ranges::find(pipeline.stages, std::string("frames"), &graph::StagePlan::name);
  if (frames == pipeline.stages.end())
    throw graph::Error(pipeline.file + " has no stage 'frames' to measure at");
  const auto from = static_cast<std::size_t>(frames - pipeline.stages.begin());
  auto params = meter().default_params();
  *static_cast<Meter::Params*>(params.get()) = std::move(watch);
  // Last, so that its start() comes when all others have started.
  pipeline.stages.push_back({"meter", &meter(), std::move(params), 0, {}});
  pipeline.edges.push_back({.from = from, .to = pipeline.stages.size() - 1});
  return pipeline;
}

}  // namespace

// --- game ------------------------------------------------------------------------------------------------------

// Publisher and server are here before the stages that share them: so it is known which port was free.
BenchGame::BenchGame(const GameSetup& setup)
    : publisher_(stages::publish_at(setup.taps, {})),
      server_(stages::serve_at(setup.control, {}, stages::largest_command)),
      engine_(pipeline_of(
                  setup, folder_ / "weights.safetensors",
                  {[this] { begin(); }, [this](const stages::Frame& frame) { note(frame.pixels.size(0)); }}),
              {}) {
  thread_ = std::thread([this] { run(); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return started_ || over_; });
  if (started_) return;
  lock.unlock();
  thread_.join();
  std::rethrow_exception(error_);
}

BenchGame::~BenchGame() {
  engine_.stop();
  thread_.join();
}

FrameMark BenchGame::next() {
  std::unique_lock lock(mutex_);
  mark_.reset();
  changed_.wait_for(lock, std::chrono::minutes(1), [&] { return mark_ || over_; });
  if (mark_) return *mark_;
  if (error_) std::rethrow_exception(error_);
  throw graph::Error("no frame came in a minute: " + engine_.whereabouts());
}

void BenchGame::run() {
  std::exception_ptr error;
  try {
    engine_.run();
  } catch (...) {
    error = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    error_ = error;
    over_ = true;
  }
  changed_.notify_all();
}

void BenchGame::begin() {
  {
    const std::lock_guard lock(mutex_);
    started_ = true;
  }
  changed_.notify_all();
}

void BenchGame::note(std::int64_t players) {
  {
    const std::lock_guard lock(mutex_);
    ++frames_;
    if (mark_) return;
    const std::chrono::duration<double> now = std::chrono::steady_clock::now().time_since_epoch();
    timespec cpu{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    mark_ = FrameMark{frames_, players, now.count(),
                      static_cast<double>(cpu.tv_sec) + 1e-9 * static_cast<double>(cpu.tv_nsec)};
  }
  changed_.notify_all();
}

// --- the rest --------------------------------------------------------------------------------------------------

model::Config cpu_small() {
  auto config = stages::read_model(project_file("configs/cpu-small.yaml"));
  config.background = "linear";  // read_model() takes what is not said from the reference, pipelines do not
  config.init = "reference";     // the other one is zero at the start, which no trained network is
  return config;
}

double quantile(std::vector<double> numbers, double share) {
  std::ranges::sort(numbers);
  const auto place = share * static_cast<double>(numbers.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const auto above = std::min(below + 1, numbers.size() - 1);
  return numbers[below] + (place - static_cast<double>(below)) * (numbers[above] - numbers[below]);
}

}  // namespace tools
