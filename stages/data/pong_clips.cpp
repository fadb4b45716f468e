// pong_clips: an endless source of clips of simulated Pong.
//
// Clip b of message n is episode n·batch + b of the seed, so message n is a function of seed and n. Frames
// answer to the action before them: the episode's first frame, which has none, is left out. The clips that are held
// out are episodes of a seed of their own.
//
// In a share of the clips the right paddle can move by chance and a paddle hit the ball, or both (pong/episode.h). What is
// held out is usual play.
#include <torch/types.h>

#include <optional>
#include <string>

#include "graph/stage.h"
#include "stages/data/pixels.h"
#include "stages/model/config.h"
#include "stages/pong/episode.h"
#include "stages/pong/random.h"
#include "stages/types.h"

namespace stages {
namespace {

struct PongClips {
  struct Params {
    std::int64_t batch = 16;
    std::int64_t frames = 16;
    std::int64_t held_out = 64;
    std::uint64_t seed = 0;
    std::string render = "auto";
    double hits = 0;
    model::Config model;
  };

  std::optional<HeldOut> start() const {
    graph::require(params.model.in_channels == 3, "Pong has 3 colours; set model.in_channels: 3");
    graph::require(params.model.n_actions >= 1 + pong::action_count,
                   "Pong has 4 actions; set model.n_actions: 4");
    constexpr std::int64_t least = pong::frames_before_hit + pong::frames_behind_hit;
    if (params.hits > 0 && params.frames < least)
      throw graph::Error("clips of " + std::to_string(params.frames) +
                         " frames show no hits; set frames to " + std::to_string(least) +
                         " or more, or hits: 0");
    if (params.held_out == 0) return std::nullopt;
    constexpr std::uint64_t purpose =
        0x68656c64206f7574ULL;  // "held out"; keeps it apart from training's seed
    return HeldOut{draw(pong::mix(params.seed, purpose), 0, params.held_out, 0)};
  }

  Clip operator()(const graph::Context& context) const {
    return draw(params.seed, context.number * static_cast<std::uint64_t>(params.batch), params.batch,
                params.hits);
  }

  // B clips, of episodes `first` and on.
  Clip draw(std::uint64_t seed, std::uint64_t first, std::int64_t B, double hits) const {
    const auto T = params.frames, H = params.model.height, W = params.model.width;
    auto frames = torch::empty({B, T, H, W, 3}, torch::kByte);
    auto action = torch::empty({B, T}, torch::kLong);
    const auto background = background_of(params.model);
    const bool points =
        params.render == "point" || (params.render == "auto" && background == Background::zero);
    pong::EpisodeParams episode_params{.length = static_cast<int>(T + 1),
                                       .size = {static_cast<int>(H), static_cast<int>(W)},
                                       .rendering = points ? pong::Rendering::point : pong::Rendering::area};
    for (std::int64_t b = 0; b < B; ++b) {
      const auto k = first + static_cast<std::uint64_t>(b);
      episode_params.shows_hit = shows_hit(seed, k, hits);
      const auto episode = pong::make_episode(seed, k, episode_params);
      std::copy(episode.frames.begin() + H * W * 3, episode.frames.end(),
                frames.data_ptr<std::uint8_t>() + b * T * H * W * 3);
      for (std::int64_t i = 0; i < T; ++i)
        action[b][i] = 1 + static_cast<std::int64_t>(episode.actions[static_cast<std::size_t>(i)]);
    }
    const auto values = from_bytes(frames, background).permute({0, 1, 4, 2, 3});  // [B,T,H,W,C] → [B,T,C,H,W]
    return {values.contiguous(), action, background};
  }

  static bool shows_hit(std::uint64_t seed, std::uint64_t k, double share) {
    constexpr std::uint64_t purpose = 0x68697473ULL;  // "hits"; keeps it apart from the episode's seed
    return pong::Random(pong::mix(pong::mix(seed, purpose), k)).between(0, 1) < share;
  }

  Params params;
};

using P = PongClips::Params;
const bool registered =
    graph::Stage<PongClips>("pong_clips")
        .summary("clips of simulated Pong, drawn afresh for ever")
        .out("clips", "frames [B,T,3,H,W] float32 in [-1,1], action [B,T] in 1…3")
        .out("held_out", "as many as held_out says, once, at the start")
        .param("batch", &P::batch, "clips in a message, B", graph::between(1, 4096))
        .param("frames", &P::frames, "frames in a clip, T", graph::between(1, 4096))
        .param("held_out", &P::held_out, "clips for validation, never trained on", graph::between(0, 4096))
        .shared("seed", &P::seed, "same seed, same clips")
        .param("render", &P::render,
               "area: shades at the edges; point: palette colours alone, which model.background: "
               "zero wants; auto: as that says",
               graph::one_of({"auto", "area", "point"}))
        .param("hits", &P::hits,
               "share of clips in which the right paddle moves by chance and a ball of any speed is hit, by "
               "both paddles where there are frames for it",
               graph::between(0, 1))
        .block("model", &P::model)
        .add();

}  // namespace
}  // namespace stages
