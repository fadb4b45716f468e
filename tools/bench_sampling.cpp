// bench_sampling: players join a game at full speed, as others would over the wire, and are dreamed in one batch.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "stages/model/flops.h"
#include "stages/types.h"
#include "stages/wire/client.h"
#include "tools/bench_game.h"
#include "tools/benches.h"
#include "tools/figures.h"
#include "tools/speed.h"

namespace tools {
namespace {

using Json = nlohmann::json;

constexpr int steps = 4, stretches = 5;

// Frames a second of all players together.
std::vector<double> speeds(MeteredRun& run, std::int64_t players, double seconds) {
  // They come in with the next ticks. Their games begin with frames enough to fill the window; two frames more are for
  // caches and memory that are used for the first time.
  while (run.next().message.as<stages::Frame>().pixels.size(0) != players) {
  }
  run.next();
  std::vector<double> all;
  for (const auto& stretch : run.stretches(stretches, seconds))
    all.push_back(stretch.rate() * static_cast<double>(players));
  return all;
}

}  // namespace

Json bench_sampling(const BenchSetup& setup) {
  const ScratchFolder folder;
  const GameSetup of_game{.model = setup.model,
                          .taps = folder.ipc("taps"),
                          .control = folder.ipc("control"),
                          .overrides = {"clock.realtime=false", "control.max_players=64",
                                        "control.timeout=3600", "denoise.steps=" + std::to_string(steps),
                                        "denoise.commit=renoised", "denoise.guidance=1", "device=cpu"}};
  BenchGame game(of_game);
  stages::Client client(game.control(), {});
  std::printf(
      "\nsampling: %s, frames of all players in one batch, %d Euler steps, commit renoised, guidance 1, full "
      "window,\nrandom weights; medians of %d stretches\n",
      setup.config.stem().c_str(), steps, stretches);
  auto heads = speed_heads();
  heads.insert(heads.end(), {"min", "max", "times one"});
  const Table table(heads);
  Json figures;
  std::int64_t joined = 0;
  double of_one = 0;
  for (const std::int64_t players : {1, 4, 16, 64}) {
    std::fprintf(stderr, "sampling: %lld players\n", static_cast<long long>(players));
    for (; joined < players; ++joined) client.ask({{"do", "join"}}, std::chrono::minutes(1));
    const auto all = speeds(game.run(), players, setup.seconds);
    // A frame is so many steps and one more evaluation, which the network remembers.
    const auto speed = speed_of(setup, quantile(all, 0.5), (steps + 1) * model::play_flop(setup.model));
    const auto least = quantile(all, 0), most = quantile(all, 1);
    if (players == 1) of_one = speed.frames_per_second;
    const auto times_one = speed.frames_per_second / of_one;
    auto cells = cells_of(speed);
    cells.insert(cells.end(), {fixed(least, 1), fixed(most, 1), fixed(times_one, 2)});
    table.row(std::to_string(players) + (players == 1 ? " player" : " players"), cells);
    auto& figure = figures[std::to_string(players)] = to_json(speed);
    figure["min"] = least;
    figure["max"] = most;
    figure["times_one"] = times_one;
  }
  return figures;
}

}  // namespace tools
