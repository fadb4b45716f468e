// pong_teacher: say what should follow upon dreams of Pong that have left their clip, where the clip cannot.
//
// A clip whose past was dreamed (scheduled_sampling) teaches how to go on rightly as long as dream and clip are the same
// game. At the first frame in which they are not, more than `parted` apart, there are two cases:
//
//   no game        ball or paddle are lost, or there are two balls. In a dream it stays so: no clip shows how to go on
//                  from there. The simulator does, it serves. In the frames behind, while the dream is no game (at most
//                  `patience`, and one is enough), a serve is what is to be predicted; then the rest of the clip is the game
//                  after that serve, under the clip's actions, drawn with shades, or in points where the background is
//                  zero.
//                  Good dreams are a game, and then this would be unlearned: so a share of the clips is spoiled, for 1 to
//                  `patience` frames in which ball or paddle fade, or another clip's ball is there, too. Where such a
//                  clip's dream is another game, the past is the clip's own first, so that no drift hides it.
//   another game   a hit, say, where the clip has a miss, or a flight that has drifted. The clip would contradict what
//                  is seen: the network would learn to dream both at once, and most of the loss would be by how much
//                  dreams have drifted. From that frame on the past is the clip's own again.
//
// Source: Ross et al. 2011 arXiv:1011.0686 (an expert says what to do in the states that the learner comes into)
#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "graph/stage.h"
#include "stages/data/pixels.h"
#include "stages/model/config.h"
#include "stages/model/patch_embed.h"
#include "stages/pong/finder.h"
#include "stages/pong/random.h"
#include "stages/pong/renderer.h"
#include "stages/pong/simulator.h"
#include "stages/train/noise.h"
#include "stages/types.h"

namespace stages {
namespace {

constexpr std::uint64_t spoiling = 0x73706f696c73ULL;  // "spoils"; keeps it apart from the serve's seed

struct PongTeacher {
  struct Params {
    double parted =
        0.0006;  // of 24 x 24 pixels: a ball 0.25 px off; 0.6 px off is 0.004, a ball less 0.004 to 0.007
    std::int64_t patience = 4;
    double spoiled = 0;
    std::uint64_t seed = 0;
    model::Config model;
  };

  void start() { finder.emplace(size(), rendering()); }

  NoisyPatches operator()(const NoisyPatches& batch, const graph::Context& context) const {
    const auto T = batch.past;
    if (T == 0) return batch;
    const auto [x0, z] = parts_of(batch);
    const auto past = x0.narrow(1, 0, T), data = x0.narrow(1, T, T);  // written to below
    const auto B = x0.size(0);
    bool is_changed = false;
    for (std::int64_t b = 0; b < B; ++b) {
      auto first = parting(past[b], data[b]);
      pong::Random random(pong::mix(seed_of(context, b), spoiling));
      const bool is_lost = first < T && !is_game(past[b][first]);
      is_changed |= first < T;
      if (!is_lost && random.between(0, 1) < params.spoiled) {
        past[b].slice(0, first, T).copy_(data[b].slice(0, first, T));
        first = spoil(past[b], data[(b + 1) % B], random);
        is_changed |= first < T;
      }
      if (first == T) continue;
      auto after = first;
      while (after < std::min(T, first + params.patience) && !is_game(past[b][after])) ++after;
      if (after > first) {
        // The frame from which the game goes on is a serve, too.
        data[b].slice(0, first + 1, after).copy_(game(batch.action[b].slice(0, 0, 1), 0));
        data[b].slice(0, after, T).copy_(game(batch.action[b].slice(0, after, T), seed_of(context, b)));
      }
      past[b].slice(0, after, T).copy_(data[b].slice(0, after, T));
    }
    return is_changed ? with_parts(batch, {x0, z}) : batch;
  }

  // The first frame in which [T,P,D] are not the same game; T if there is none.
  std::int64_t parting(const at::Tensor& past, const at::Tensor& data) const {
    const auto apart = (past - data).square().mean({1, 2}).gt(params.parted);
    return apart.any().item<bool>() ? apart.to(torch::kInt).argmax().item<std::int64_t>() : past.size(0);
  }

  std::uint64_t seed_of(const graph::Context& context, std::int64_t b) const {
    constexpr std::uint64_t purpose = 0x74656163686573ULL;  // "teaches"; keeps it apart from other seeds
    return pong::mix(pong::mix(pong::mix(params.seed, purpose), context.number),
                     static_cast<std::uint64_t>(b));
  }

  // Takes most of the ball or of a paddle out of some frames of past [T,P,D], or puts another game's ball into them.
  // Returns the first of these frames; T where it is still a game, and nothing was done.
  std::int64_t spoil(const at::Tensor& past, const at::Tensor& other, pong::Random& random) const {
    const auto T = past.size(0);
    const auto lasts = std::min(T, std::int64_t{1} + random.below(static_cast<int>(params.patience)));
    const auto first = random.below(static_cast<int>(T - lasts + 1));
    const auto frames_of = [&](const at::Tensor& patches) {
      return model::unpatchify(patches.narrow(0, first, lasts), params.model.height, params.model.width,
                               params.model.patch_size);
    };
    const auto frames = frames_of(past).clone();
    const std::int64_t paddle = finder->paddle_columns(), middle = frames.size(-1) - 2 * paddle;
    const auto fade = [&](std::int64_t column, std::int64_t columns) {
      const auto& [red, green, blue] = pong::Palette::background;
      const auto background =
          from_bytes(torch::tensor({red, green, blue}, torch::kByte), background_of(params.model));
      const auto part = frames.narrow(-1, column, columns);
      part.lerp_(background.view({3, 1, 1}).expand_as(part), random.between(0.8f, 1));
    };
    const auto thing = random.below(4);
    if (thing == 0) fade(0, paddle);
    if (thing == 1) fade(paddle, middle);
    if (thing == 2) fade(paddle + middle, paddle);
    if (thing == 3) {
      const auto court = frames.narrow(-1, paddle, middle);
      court.copy_(torch::maximum(court, frames_of(other).narrow(-1, paddle, middle)));
    }
    const auto spoilt = model::patchify(frames, params.model.patch_size);
    if (is_game(spoilt[0])) return T;
    past.narrow(0, first, lasts).copy_(spoilt);
    return first;
  }

  // Whether a frame [P,D] shows all that the simulator does, once.
  bool is_game(const at::Tensor& patches) const {
    const auto& sizes = params.model;
    const auto frame = model::unpatchify(patches, sizes.height, sizes.width, sizes.patch_size);
    const auto pixels =
        to_bytes(frame.permute({1, 2, 0}), background_of(sizes)).contiguous();  // [C,H,W] → [H,W,C]
    const auto sight = finder->look({pixels.data_ptr<std::uint8_t>(), size().bytes()});
    return sight.balls == 1 && sight.left_paddle && sight.right_paddle;
  }

  // A serve and what follows it under the later actions: [T] → [T,P,D]. An action that is hidden is any.
  at::Tensor game(const at::Tensor& action, std::uint64_t seed) const {
    pong::Simulator simulator(seed);
    pong::Random random(pong::mix(seed, 1));
    const auto frames = torch::empty({action.size(0), size().height, size().width, 3}, torch::kByte);
    for (std::int64_t i = 0; i < action.size(0); ++i) {
      const auto known = action[i].item<int>();
      const auto pressed = known > 0 ? known - 1 : random.below(pong::action_count);
      if (i > 0) simulator.step(static_cast<pong::Action>(pressed));
      pong::render(simulator.state, size(), rendering(),
                   {frames[i].data_ptr<std::uint8_t>(), size().bytes()});
    }
    const auto values = from_bytes(frames, background_of(params.model)).permute({0, 3, 1, 2});
    return model::patchify(values, params.model.patch_size);
  }

  pong::ImageSize size() const {
    return {static_cast<int>(params.model.height), static_cast<int>(params.model.width)};
  }
  pong::Rendering rendering() const {
    return background_of(params.model) == Background::zero ? pong::Rendering::point : pong::Rendering::area;
  }

  Params params;
  std::optional<pong::Finder> finder;
};

using P = PongTeacher::Params;
const bool registered =
    graph::Stage<PongTeacher>("pong_teacher")
        .summary("say what should follow upon dreams of Pong that have left their clip")
        .in("batch", "clips whose past may be dreamed, x_t and v [B,2T,P,D]")
        .out("taught", "the same, with a serve behind what is no game, and no dreams of another game")
        .param("parted", &P::parted,
               "mean square error of a frame in [-1,1] from which on it is another game; well above the "
               "network's own",
               graph::above(0))
        .param("patience", &P::patience, "most frames of no game that are shown", graph::between(1, 64))
        .unit("frames")
        .param("spoiled", &P::spoiled,
               "share of clips whose past, where it is given, is made no game for some frames",
               graph::between(0, 1))
        .shared("seed", &P::seed, "same seed, the same is spoiled and served")
        .block("model", &P::model)
        .add();

}  // namespace
}  // namespace stages
