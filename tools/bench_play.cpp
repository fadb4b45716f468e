// bench_play: one player's game at full speed, and where the time of a frame goes.
//
// The next tick comes when a frame is encoded, so the time from one frame to the next is that from a tick to its frame.
// `last_step` remembers the last Euler step's input and costs no evaluation; `renoised` costs one more, the commit.
// Steps and commit are told apart in a denoiser by itself, frame by frame: the solver's time is the steps', and what
// comes after it the commit's.
#include <torch/types.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "stages/model/flops.h"
#include "stages/play/dreamer.h"
#include "stages/play/solvers.h"
#include "stages/types.h"
#include "tools/bench_game.h"
#include "tools/benches.h"
#include "tools/figures.h"
#include "tools/speed.h"

namespace tools {
namespace {

using Json = nlohmann::json;

constexpr int steps = 4, warm_up = 2, stretches = 5;

struct Played {
  Speed speed;
  double p50 = 0, p99 = 0;  // ms, from a tick to its frame
  std::size_t frames = 0;   // of which these are quantiles
  double encoded = 0;       // ms a frame
};

Played play(const BenchSetup& setup, const std::string& commit) {
  std::fprintf(stderr, "play: commit %s\n", commit.c_str());
  const ScratchFolder folder;
  const GameSetup of_game{
      .model = setup.model,
      .taps = folder.ipc("taps"),
      .control = folder.ipc("control"),
      .overrides = {"local=true", "clock.realtime=false", "denoise.steps=" + std::to_string(steps),
                    "denoise.guidance=1", "denoise.commit=" + commit, "device=cpu"}};
  BenchGame game(of_game);
  for (int i = 0; i < warm_up; ++i) game.run().next();
  const auto all = game.run().stretches(stretches, setup.seconds);
  const auto evaluations = commit == "last_step" ? steps : steps + 1;
  const auto busy = [&](const std::string& stage) {
    return 1000 * median(all, [&](const Stretch& stretch) { return stretch.busy.at(stage); });
  };
  std::vector<double> ms;
  for (const auto& stretch : all)
    for (const auto gap : stretch.gaps) ms.push_back(1000 * gap);
  return {.speed = speed_of(setup, median(all, &Stretch::rate), evaluations * model::play_flop(setup.model)),
          .p50 = quantile(ms, 0.5),
          .p99 = quantile(ms, 0.99),
          .frames = ms.size(),
          .encoded = busy("pixels") + busy("frames")};
}

// ms, of one player's denoiser by itself with commit: renoised.
struct Parts {
  double euler_step = 0, commit = 0;
};

Parts parts_of_frame(const BenchSetup& setup) {
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::duration<double, std::milli>;
  constexpr std::size_t least = 3;
  std::fprintf(stderr, "play: the parts of a frame\n");
  const ScratchFolder folder;
  const auto weights = folder / "weights.safetensors";
  save_random_weights(weights, setup.model);
  stages::DreamParams params;
  params.checkpoint = weights.string();
  params.steps = steps;
  params.commit = "renoised";
  params.device = "cpu";
  const graph::Context context{.stage = "denoise"};
  stages::Dreamer dreamer;
  dreamer.start(params, context);
  // The game begins with a full window.
  const auto& of = setup.model;
  stages::Turn turn{.action = torch::ones({1}, torch::kLong)};
  turn.starts.push_back(
      {.frames = torch::zeros({of.n_window, of.height, of.width, of.in_channels}, torch::kByte),
       .action = torch::ones({of.n_window}, torch::kLong)});

  std::vector<double> all_steps, commits;
  Clock::time_point begin, end;  // of the solver
  const stages::Solver timed = [&](const stages::Velocity& v, const stages::Noise& noise,
                                   const std::vector<double>& levels) {
    begin = Clock::now();
    auto z = stages::euler(v, noise, levels);
    end = Clock::now();
    return z;
  };
  for (int i = 0; i < warm_up; ++i, ++turn.number) {
    dreamer.dream(params, turn, context, timed);
    turn.starts.clear();
  }
  const auto start = Clock::now();
  for (; commits.size() < least || Milliseconds(Clock::now() - start).count() < 1000 * setup.seconds;
       ++turn.number) {
    dreamer.dream(params, turn, context, timed);
    const auto done = Clock::now();
    all_steps.push_back(Milliseconds(end - begin).count());
    commits.push_back(Milliseconds(done - end).count());
  }
  return {quantile(all_steps, 0.5) / steps, quantile(commits, 0.5)};
}

void print(const Table& table, const std::string& commit, const Played& played) {
  auto cells = cells_of(played.speed);
  cells.insert(cells.end(), {fixed(played.p50, 2), fixed(played.p99, 2), std::to_string(played.frames)});
  table.row("commit: " + commit, cells);
}

Json figures_of(const Played& played) {
  auto figures = to_json(played.speed);
  figures["latency_ms"] = Json{{"p50", played.p50}, {"p99", played.p99}};
  figures["frames"] = played.frames;
  return figures;
}

}  // namespace

Json bench_play(const BenchSetup& setup) {
  const auto last_step = play(setup, "last_step"), renoised = play(setup, "renoised");
  const auto [euler_step, commit] = parts_of_frame(setup);
  std::printf(
      "\nplay: %s, one player, %d Euler steps, guidance 1, full window, random weights; medians of %d "
      "stretches\n",
      setup.config.stem().c_str(), steps, stretches);
  auto heads = speed_heads();
  heads.insert(heads.end(), {"p50, ms", "p99, ms", "frames"});
  const Table table(heads);
  print(table, "last_step", last_step);
  print(table, "renoised", renoised);
  std::printf("ms: from a tick to its frame, encoded\n");

  std::printf("\nplay: the parts of a frame\n");
  const Table parts({"ms", "share of frame", "GFLOP/s", "share of peak"});
  const auto frame = 1000 / renoised.speed.frames_per_second, gflop = 1e-9 * model::play_flop(setup.model);
  const auto evaluation = [&](const std::string& name, double ms) {
    const auto speed = 1000 * gflop / ms;
    parts.row(name,
              {fixed(ms, 2), percent(ms / frame), fixed(speed, 1), percent(speed / setup.peak.all_cores)});
  };
  evaluation("one Euler step *", euler_step);
  evaluation("commit, renoised *", commit);
  parts.row("unpatchify and encode", {fixed(renoised.encoded, 3), percent(renoised.encoded / frame)});
  std::printf("share of frame: of one with commit: renoised; * of the denoiser by itself\n");

  auto figures = figures_of(last_step);
  figures["renoised"] = figures_of(renoised);
  figures["ms"] = Json{{"euler_step", euler_step}, {"commit", commit}, {"encode", renoised.encoded}};
  return figures;
}

}  // namespace tools
