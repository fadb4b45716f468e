// pong_episodes: an endless source of whole episodes of simulated Pong, for datasets.
//
// Message n is episode n of the seed. The last action of an episode leads to a frame that is no longer part of it.
#include <torch/types.h>

#include "graph/stage.h"
#include "stages/pong/episode.h"
#include "stages/types.h"

namespace stages {
namespace {

struct PongEpisodes {
  struct Params {
    std::int64_t frames = 5400;
    int height = 24, width = 24;
    std::string render = "area";
    std::uint64_t seed = 0;
  };

  Episode operator()(const graph::Context& context) const {
    auto episode = pong::make_episode(
        params.seed, context.number,
        {.length = static_cast<int>(params.frames),
         .size = {params.height, params.width},
         .rendering = params.render == "point" ? pong::Rendering::point : pong::Rendering::area});
    const auto action = torch::empty({params.frames}, torch::kLong);
    const auto reward = torch::empty({params.frames}, torch::kFloat);
    std::transform(episode.actions.begin(), episode.actions.end(), action.data_ptr<std::int64_t>(),
                   [](pong::Action each) { return static_cast<std::int64_t>(each); });
    std::transform(episode.rewards.begin(), episode.rewards.end(), reward.data_ptr<float>(),
                   [](int each) { return static_cast<float>(each); });
    // The tensor takes the pixels over: a copy of some megabytes less.
    const auto pixels = std::make_shared<std::vector<std::uint8_t>>(std::move(episode.frames));
    return {torch::from_blob(
                pixels->data(), {params.frames, params.height, params.width, 3}, [pixels](void*) {},
                torch::kByte),
            action, reward};
  }

  Params params;
};

using P = PongEpisodes::Params;
const bool registered =
    graph::Stage<PongEpisodes>("pong_episodes")
        .summary("whole episodes of simulated Pong, one after the other for ever")
        .out("episode", "frames [T,H,W,3] uint8, action [T] in 0…2, reward [T] in -1…1")
        .param("frames", &P::frames, "frames in an episode, T", graph::between(1, 1'000'000))
        .param("height", &P::height, "of a frame", graph::between(1, 1024))
        .unit("pixels")
        .param("width", &P::width, "of a frame", graph::between(1, 1024))
        .unit("pixels")
        .param("render", &P::render, "shades at the edges, or palette colours alone",
               graph::one_of({"area", "point"}))
        .shared("seed", &P::seed, "same seed, same episodes")
        .add();

}  // namespace
}  // namespace stages
