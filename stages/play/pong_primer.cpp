// pong_primer: begins every new game with frames of the simulator.
//
// A network that remembers nothing dreams its first frames out of noise, and a bad first frame spoils what
// follows. So a fresh game goes on from a real one: game n from an episode that is a function of seed and n. No
// clip to train on is drawn from these episodes.
#include <torch/types.h>

#include "graph/stage.h"
#include "stages/pong/episode.h"
#include "stages/pong/random.h"
#include "stages/types.h"

namespace stages {
namespace {

struct PongPrimer {
  struct Params {
    std::int64_t frames = 64;
    std::int64_t height = 24, width = 24;
    std::string render = "area";
    std::uint64_t seed = 0;
  };

  Turn operator()(const Turn& turn) const {
    Turn primed = turn;
    for (auto& start : primed.starts) prime(start);
    return primed;
  }

  void prime(Start& start) const {
    const auto n = params.frames, H = params.height, W = params.width;
    // The first frame answers to no action and is left out.
    const pong::EpisodeParams sizes{
        .length = static_cast<int>(n + 1),
        .size = {static_cast<int>(H), static_cast<int>(W)},
        .rendering = params.render == "point" ? pong::Rendering::point : pong::Rendering::area};
    const auto player = static_cast<std::uint64_t>(start.session);
    const auto episode =
        pong::make_episode(pong::mix(params.seed, purpose), pong::mix(player, start.game), sizes);
    start.frames = torch::empty({n, H, W, 3}, torch::kByte);
    std::copy(episode.frames.begin() + H * W * 3, episode.frames.end(),
              start.frames.data_ptr<std::uint8_t>());
    start.action = torch::empty({n}, torch::kLong);
    for (std::int64_t i = 0; i < n; ++i)
      start.action[i] = 1 + static_cast<std::int64_t>(episode.actions[static_cast<std::size_t>(i)]);
  }

  static constexpr std::uint64_t purpose =
      0x7072696d6572ULL;  // "primer"; keeps it apart from training's seed
  Params params;
};

using P = PongPrimer::Params;
const bool registered =
    graph::Stage<PongPrimer>("pong_primer")
        .summary("begin every new game with frames of the simulator")
        .in("turn", "actions, and whose game begins")
        .out("turn", "the same, with the frames before each game that begins")
        .param("frames", &P::frames, "before a game; the network remembers n_window - 1 at most",
               graph::between(1, 4096))
        .param("height", &P::height, "of a frame, as the model dreams it", graph::between(1, 4096))
        .unit("px")
        .param("width", &P::width, "of a frame, as the model dreams it", graph::between(1, 4096))
        .unit("px")
        .param("render", &P::render, "shades at the edges, or palette colours alone; as in training",
               graph::one_of({"area", "point"}))
        .shared("seed", &P::seed, "same seed, same games")
        .add();

}  // namespace
}  // namespace stages
