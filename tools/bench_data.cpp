// bench_data: how fast the simulator plays, and how fast training's data stages make clips of it.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "stages/pong/episode.h"
#include "stages/pong/simulator.h"
#include "stages/types.h"
#include "tools/bench_training.h"
#include "tools/benches.h"
#include "tools/figures.h"
#include "tools/metered_run.h"

namespace tools {
namespace {

using Json = nlohmann::json;

constexpr int stretches = 5;

/// Frames a second of `work`, which makes so many of them each time.
template <class Work>
double rate_of(int frames, double seconds, const Work& work) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> rates;
  for (int i = 0; i < stretches; ++i) {
    double done = 0;
    const auto begin = Clock::now();
    std::chrono::duration<double> spent{};
    do {
      work();
      done += frames;
      spent = Clock::now() - begin;
    } while (spent.count() < seconds / stretches);
    rates.push_back(done / spent.count());
  }
  return quantile(rates, 0.5);
}

double simulator_rate(double seconds) {
  constexpr int frames = 10'000;
  pong::Simulator simulator(0);
  return rate_of(frames, seconds, [&] {
    for (int i = 0; i < frames; ++i) simulator.step(static_cast<pong::Action>(i % pong::action_count));
  });
}

double episode_rate(double seconds) {
  constexpr int frames = 1'000;
  std::uint64_t k = 0;
  return rate_of(frames, seconds, [&] { pong::make_episode(0, k++, {.length = frames}); });
}

}  // namespace

Json bench_data(const BenchSetup& setup) {
  std::fprintf(stderr, "data\n");
  std::printf("\ndata: %s, clips of Pong, %lld in a message; medians of %d stretches\n",
              setup.config.stem().c_str(), static_cast<long long>(setup.batch), stretches);
  const Table table({"frames/s", "us a frame"});
  Json figures;
  const auto tell = [&](const std::string& key, const std::string& name, double rate) {
    table.row(name, {fixed(rate, 0), fixed(1e6 / rate, 3)});
    figures[key] = rate;
  };
  tell("simulator", "simulator", simulator_rate(setup.seconds));
  tell("episodes", "simulator, policy, renderer", episode_rate(setup.seconds));

  MeteredRun run(training(setup.config, setup.batch, data_stages()), "noise", "noisy");
  const auto& batch = run.next().message.as<stages::NoisyPatches>();
  const auto frames = static_cast<double>(batch.t.size(0) * (batch.t.size(1) - batch.past));
  const auto all = run.stretches(stretches, setup.seconds);
  for (const auto& name : data_stages())
    tell(name, "stage " + name,
         frames / median(all, [&](const Stretch& stretch) { return stretch.busy.at(name); }));
  tell("all", "all four stages, side by side", frames * median(all, &Stretch::rate));
  return figures;
}

}  // namespace tools
