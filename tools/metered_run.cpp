// metered_run: a stage that looks at the clock, behind the output of another.
#include "tools/metered_run.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "graph/error.h"
#include "graph/pipeline.h"
#include "graph/stage.h"

namespace tools {
namespace {

struct Meter {
  struct Params {
    std::function<void()> started;
    std::function<void(const graph::Any&)> take;
  };

  void start() const { params.started(); }
  void operator()(const graph::Any& message) const { params.take(message); }

  Params params;
};

const graph::StageType& meter() {
  static const auto type = graph::Stage<Meter>("meter").in("message", "").type();
  return type;
}

graph::Pipeline metered(graph::Pipeline pipeline, const std::string& stage, const std::string& output,
                        Meter::Params watch) {
  const auto missing = [&] {
    return graph::Error(pipeline.file + " has no '" + stage + "." + output + "' to measure at");
  };
  const auto plan = std::ranges::find(pipeline.stages, stage, &graph::StagePlan::name);
  if (plan == pipeline.stages.end()) throw missing();
  const auto& outputs = plan->type->outputs;
  const auto port = std::ranges::find(outputs, output, &graph::OutputPort::name);
  if (port == outputs.end()) throw missing();
  const auto from = static_cast<std::size_t>(plan - pipeline.stages.begin()),
             slot = static_cast<std::size_t>(port - outputs.begin());
  auto params = meter().default_params();
  *static_cast<Meter::Params*>(params.get()) = std::move(watch);
  // Last, so that its start() comes when all others have started.
  pipeline.stages.push_back({"meter", &meter(), std::move(params), 0, {}});
  pipeline.edges.push_back({.from = from, .output = slot, .to = pipeline.stages.size() - 1});
  return pipeline;
}

}  // namespace

MeteredRun::MeteredRun(graph::Pipeline pipeline, const std::string& stage, const std::string& output)
    : engine_(
          metered(std::move(pipeline), stage, output,
                  {[this] { note_start(); }, [this](const graph::Any& message) { note_message(message); }}),
          {}) {
  thread_ = std::thread([this] { run(); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return started_ || over_; });
  if (started_) return;
  lock.unlock();
  thread_.join();
  if (error_) std::rethrow_exception(error_);
  throw graph::Error("the run was over before it began");
}

MeteredRun::~MeteredRun() {
  engine_.stop();
  thread_.join();
}

Mark MeteredRun::next() {
  std::unique_lock lock(mutex_);
  mark_.reset();
  changed_.wait_for(lock, std::chrono::minutes(10), [&] { return mark_ || over_; });
  if (mark_) return *mark_;
  if (error_) std::rethrow_exception(error_);
  throw graph::Error("no message came in ten minutes: " + engine_.whereabouts());
}

std::vector<Stretch> MeteredRun::stretches(int count, double seconds) {
  std::vector<Stretch> all;
  auto begin = next();
  auto before = busy();
  for (int i = 0; i < count; ++i) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds / count));
    auto end = next();
    auto after = busy();
    Stretch stretch{.messages = static_cast<double>(end.messages - begin.messages),
                    .seconds = end.seconds - begin.seconds,
                    .gaps = gaps_between(begin.messages, end.messages)};
    for (const auto& [stage, worked] : after)
      stretch.busy[stage] = (worked - before[stage]) / stretch.messages;
    all.push_back(std::move(stretch));
    begin = std::move(end);
    before = std::move(after);
  }
  return all;
}

std::vector<double> MeteredRun::gaps_between(std::uint64_t from, std::uint64_t to) {
  const std::lock_guard lock(mutex_);
  std::vector<double> all;
  for (auto i = from; i < to; ++i) all.push_back(ends_[i] - ends_[i - 1]);
  return all;
}

std::map<std::string, double> MeteredRun::busy() const {
  std::map<std::string, double> all;
  const auto counts = engine_.telemetry();
  for (const auto& stage : counts.stages) all[stage.name] = stage.busy_seconds;
  return all;
}

void MeteredRun::run() {
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

void MeteredRun::note_start() {
  {
    const std::lock_guard lock(mutex_);
    started_ = true;
  }
  changed_.notify_all();
}

void MeteredRun::note_message(const graph::Any& message) {
  {
    const std::lock_guard lock(mutex_);
    const std::chrono::duration<double> now = std::chrono::steady_clock::now().time_since_epoch();
    ends_.push_back(now.count());
    if (mark_) return;
    timespec cpu{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    mark_ = Mark{ends_.size(), message, now.count(),
                 static_cast<double>(cpu.tv_sec) + 1e-9 * static_cast<double>(cpu.tv_nsec)};
  }
  changed_.notify_all();
}

}  // namespace tools
