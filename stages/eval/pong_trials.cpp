// pong_trials: games to measure a model by: it dreams them, and the simulator plays them under the same actions.
//
// A policy that mixes tracking, holding and idling plays on the simulator's court; the model dreams along, from frames
// of that court before the first one that is dreamed. Players 0 … games-1 do so for `frames` frames, side by side in
// one batch, with the simulator's frames as the truth. After them, in the same batch, come free games, which go on for
// `free_frames`: a dream that has lost its ball has nothing to be compared with any more. Their actions are such a
// policy's too, on a court that the dream has parted from.
//
// Game k is a function of seed and k. No clip to train on, to validate with or to begin a player's game is drawn from
// these episodes.
#include <spdlog/spdlog.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "graph/stage.h"
#include "stages/pong/episode.h"
#include "stages/pong/random.h"
#include "stages/types.h"

namespace stages {
namespace {

struct PongTrials {
  struct Params {
    std::int64_t games = 64, frames = 120;
    std::int64_t free_games = 8, free_frames = 10'000;
    std::int64_t before = 64;
    int height = 24, width = 24;
    std::string render = "area";
    double every = 10;
    std::uint64_t seed = 0;
  };
  using Clock = std::chrono::steady_clock;

  void start() {
    graph::require(params.games + params.free_games > 0, "games and free_games are both 0: nothing to do");
    size = {params.height, params.width};
    rendering = params.render == "point" ? pong::Rendering::point : pong::Rendering::area;
    last = empty_frames(params.games);
    for (std::int64_t k = 0; k < params.games + params.free_games; ++k) prime(k);
    said = Clock::now();
  }

  // The frames before, of which the last one is what a copy would go on with.
  void prime(std::int64_t k) {
    auto& play = plays.emplace_back(
        pong::start_of_episode(pong::mix(params.seed, purpose), static_cast<std::uint64_t>(k)));
    Start start{.session = k,
                .game = static_cast<std::uint64_t>(k),
                .frames = empty_frames(params.before),
                .action = torch::empty({params.before}, torch::kLong)};
    auto* action = start.action.data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < params.before; ++i) {
      action[i] = advance(play).first;
      draw(play, start.frames, i);
    }
    if (k < params.games) draw(play, last, k);
    starts.push_back(std::move(start));
  }

  std::optional<std::tuple<Turn, Truth>> operator()(const graph::Context& context) {
    const auto n = static_cast<std::int64_t>(context.number);
    const auto N = n < params.frames ? params.games : 0;
    Truth truth{empty_frames(N), last.narrow(0, 0, N), {}, rendering};
    std::vector<std::int64_t> action;
    std::vector<Player> players;
    for (std::int64_t k = 0; k < params.games + params.free_games; ++k) {
      const bool is_free = k >= params.games;
      if (n >= (is_free ? params.free_frames : params.frames)) continue;
      auto& play = plays[static_cast<std::size_t>(k)];
      const auto [pressed, step] = advance(play);
      action.push_back(pressed);
      players.push_back({k});
      if (is_free) continue;
      truth.steps.push_back(step);
      draw(play, truth.pixels, k);
    }
    if (players.empty()) return std::nullopt;
    say(n);
    return std::tuple{Turn{torch::tensor(action, torch::kLong), std::exchange(starts, {}), std::move(players),
                           context.number},
                      std::move(truth)};
  }

  at::Tensor empty_frames(std::int64_t n) const {
    return torch::empty({n, params.height, params.width, 3}, torch::kByte);
  }

  // A frame on, and the action that led there.
  static std::pair<std::int64_t, pong::StepResult> advance(pong::Play& play) {
    const auto action = play.policy.act(play.simulator.state);
    return {1 + static_cast<std::int64_t>(action), play.simulator.step(action)};
  }

  void draw(const pong::Play& play, const at::Tensor& frames, std::int64_t row) const {
    auto* first = frames.data_ptr<std::uint8_t>() + static_cast<std::size_t>(row) * size.bytes();
    pong::render(play.simulator.state, size, rendering, {first, size.bytes()});
  }

  void say(std::int64_t n) {
    const std::chrono::duration<double> since = Clock::now() - said;
    if (since.count() < params.every || n == said_at) return;
    const auto end =
        std::max(params.games > 0 ? params.frames : 0, params.free_games > 0 ? params.free_frames : 0);
    const auto rate = static_cast<double>(n - said_at) / since.count();
    const auto left = static_cast<std::int64_t>(static_cast<double>(end - n) / rate);
    spdlog::info("frame {} of {} of {} games, {:.1f} a second, at most {}:{:02} left", n, end,
                 n < params.frames ? params.games + params.free_games : params.free_games, rate, left / 60,
                 left % 60);
    said = Clock::now();
    said_at = n;
  }

  static constexpr std::uint64_t purpose = 0x747269616c73ULL;  // "trials"; keeps it apart from other seeds
  Params params;
  pong::ImageSize size;
  pong::Rendering rendering = pong::Rendering::area;
  std::vector<pong::Play> plays;
  std::vector<Start> starts;  // sent with the first turn
  at::Tensor last;            // [games,H,W,3]
  Clock::time_point said;
  std::int64_t said_at = 0;
};

using P = PongTrials::Params;
const bool registered =
    graph::Stage<PongTrials>("pong_trials")
        .summary("games that a model dreams and the simulator plays, to compare")
        .out("turn", "action [S] of every player; with the first, the frames before all games")
        .out("truth", "the simulator's frames of the first N players, [N,H,W,3] uint8")
        .param("games", &P::games, "dreamed and played side by side", graph::between(0, 4096))
        .param("frames", &P::frames, "of such a game", graph::between(1, 1'000'000))
        .unit("frames")
        .param("free_games", &P::free_games, "dreamed on their own", graph::between(0, 4096))
        .param("free_frames", &P::free_frames, "of such a game", graph::between(1, 100'000'000))
        .unit("frames")
        .param("before", &P::before, "frames before a game; the network remembers n_window - 1 at most",
               graph::between(1, 4096))
        .unit("frames")
        .param("height", &P::height, "of a frame, as the model dreams it", graph::between(20, 1024))
        .unit("px")
        .param("width", &P::width, "of a frame, as the model dreams it", graph::between(17, 1024))
        .unit("px")
        .param("render", &P::render, "shades at the edges, or palette colours alone; as in training",
               graph::one_of({"area", "point"}))
        .param("every", &P::every, "between progress lines", graph::at_least(0))
        .unit("s")
        .shared("seed", &P::seed, "same seed, same games")
        .add();

}  // namespace
}  // namespace stages
