// bench_players: players join a game at full speed, as others would over the wire.
#include "tools/bench_players.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "stages/wire/client.h"
#include "tools/bench_game.h"

namespace tools {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr int steps = 4, stretches = 5;
constexpr auto stretch_length = std::chrono::milliseconds(800);

struct Network {
  std::string name;
  model::Config config;
};

// Single precision, of the fastest of several sizes and runs; each thread multiplies matrices of its own.
double peak_gflops(std::size_t threads) {
  constexpr int runs = 5, products = 4;
  struct Matrices {
    at::Tensor a, b, product;
  };
  double best = 0;
  for (const std::int64_t side : {512, 768, 1024}) {
    std::vector<Matrices> all;
    for (std::size_t i = 0; i < threads; ++i)
      all.push_back({at::rand({side, side}), at::rand({side, side}), at::empty({side, side})});
    for (int run = 0; run < runs; ++run) {
      const auto begin = Clock::now();
      std::vector<std::thread> crew;
      for (auto& each : all)
        crew.emplace_back([&each] {
          for (int i = 0; i < products; ++i) at::mm_out(each.product, each.a, each.b);
        });
      for (auto& thread : crew) thread.join();
      const std::chrono::duration<double> spent = Clock::now() - begin;
      const auto cube = static_cast<double>(side * side * side);
      best = std::max(best, 2e-9 * cube * products * static_cast<double>(threads) / spent.count());
    }
  }
  return best;
}

// What matrix products and convolutions of one evaluation for one player take, a multiplication and an addition for
// each weight that a number meets, with W frames in view:
//
//   a block    N (8 + 6e) d² for its layers, 4 N² W d for attention, 12 d² for its modulation
//   the stem   linear: 2 P D d;  conv: 25 H W d (C + d/2), then P p² d²
//   the rest   6 d² for conditions, 2 P D d for the output
double flop_of(const model::Config& config) {
  const auto real = [](std::int64_t number) { return static_cast<double>(number); };
  const double N = real(config.tokens()), P = real(config.patches()), D = real(config.patch_dim()),
               W = real(config.n_window), d = real(config.d_model), e = real(config.expansion),
               p = real(config.patch_size), pixels = real(config.height * config.width),
               colours = real(config.in_channels);
  const double block = N * (8 + 6 * e) * d * d + 4 * N * N * W * d + 12 * d * d;
  const double stem =
      config.stem == "linear" ? 2 * P * D * d : 25 * pixels * d * (colours + d / 2) + P * p * p * d * d;
  return real(config.n_blocks) * block + stem + 6 * d * d + 2 * P * D * d;
}

// Frames a second of all players together.
std::vector<double> speeds(BenchGame& game, std::int64_t players) {
  // They come in with the next ticks. Their games begin with frames enough to fill the window; two frames more are for
  // caches and memory that are used for the first time.
  while (game.next().players != players) {
  }
  game.next();
  auto begin = game.next();
  std::vector<double> all;
  for (int i = 0; i < stretches; ++i) {
    std::this_thread::sleep_for(stretch_length);
    const auto end = game.next();
    all.push_back(static_cast<double>(end.frames - begin.frames) * static_cast<double>(players) /
                  (end.seconds - begin.seconds));
    begin = end;
  }
  return all;
}

Json play(const Network& network, double peak) {
  std::fprintf(stderr, "players: %s\n", network.name.c_str());
  const ScratchFolder folder;
  const GameSetup setup{.model = network.config,
                        .taps = folder.ipc("taps"),
                        .control = folder.ipc("control"),
                        .overrides = {"clock.realtime=false", "control.max_players=64",
                                      "control.timeout=3600", "denoise.steps=" + std::to_string(steps),
                                      "denoise.commit=renoised", "denoise.guidance=1", "denoise.device=cpu"}};
  BenchGame game(setup);
  stages::Client client(game.control(), {});
  // A frame is so many steps and one more evaluation, which the network remembers.
  const double gflop_a_frame = 1e-9 * (steps + 1) * flop_of(network.config);
  std::printf("\n%s, %.3f GFLOP a frame and player\n", network.name.c_str(), gflop_a_frame);
  std::printf("%8s %10s %10s %10s %10s %14s\n", "players", "min", "median", "max", "times one",
              "share of peak");
  Json figures;
  std::int64_t joined = 0;
  double of_one = 0;
  for (const std::int64_t players : {1, 4, 16, 64}) {
    for (; joined < players; ++joined) client.ask({{"do", "join"}});
    const auto all = speeds(game, players);
    const auto median = quantile(all, 0.5);
    if (players == 1) of_one = median;
    const auto share = median * gflop_a_frame / peak;
    std::printf("%8lld %10.1f %10.1f %10.1f %10.2f %12.0f %%\n", static_cast<long long>(players),
                quantile(all, 0), median, quantile(all, 1), median / of_one, 100 * share);
    std::fflush(stdout);
    figures[std::to_string(players)] = Json{{"frames_per_second", median},
                                            {"min", quantile(all, 0)},
                                            {"max", quantile(all, 1)},
                                            {"times_one", median / of_one},
                                            {"share_of_peak", share}};
  }
  return figures;
}

}  // namespace

Json bench_players() {
  const auto one = peak_gflops(1), two = peak_gflops(2);
  std::printf(
      "players: frames a second of all in one batch, random weights, %d steps a frame, %d stretches\n", steps,
      stretches);
  std::printf(
      "this machine multiplies matrices, single precision, at %.1f GFLOP/s on one thread, %.1f on two\n", one,
      two);
  std::printf("share of peak: of what all cores multiply together\n");
  std::fflush(stdout);
  Json figures;
  figures["peak_gflops"] = Json{{"one_thread", one}, {"two_threads", two}};
  const model::Config bench_small{
      .n_window = 16, .patch_size = 4, .n_heads = 4, .d_model = 128, .n_blocks = 6};
  for (const auto& network : {Network{"cpu-small", cpu_small()}, Network{"bench-small", bench_small}})
    figures[network.name] = play(network, two);
  return figures;
}

}  // namespace tools
