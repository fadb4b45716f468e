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
//   another game   a hit, say, where the clip has a miss. The clip would contradict what is seen, so that the network
//                  learned to dream both at once. From that frame on the past is the clip's own again.
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

struct PongTeacher {
  struct Params {
    double parted = 0.004;  // of 24 x 24 pixels: a ball less is 0.004 to 0.007, one that is 0.6 px off 0.004
    std::int64_t patience = 4;
    std::uint64_t seed = 0;
    model::Config model;
  };

  void start() { finder.emplace(size(), rendering()); }

  NoisyPatches operator()(const NoisyPatches& batch, const graph::Context& context) const {
    const auto T = batch.past;
    if (T == 0) return batch;
    const auto [x0, z] = parts_of(batch);
    const auto past = x0.narrow(1, 0, T), data = x0.narrow(1, T, T);           // written to below
    const auto apart = (past - data).square().mean({2, 3}).gt(params.parted);  // [B,T]
    if (!apart.any().item<bool>()) return batch;
    for (std::int64_t b = 0; b < x0.size(0); ++b) {
      if (!apart[b].any().item<bool>()) continue;
      const auto first = apart[b].to(torch::kInt).argmax().item<std::int64_t>();
      auto after = first;
      while (after < std::min(T, first + params.patience) && !is_game(past[b][after])) ++after;
      if (after > first) {
        // The frame from which the game goes on is a serve, too.
        data[b].slice(0, first + 1, after).copy_(game(batch.action[b].slice(0, 0, 1), 0));
        data[b].slice(0, after, T).copy_(game(batch.action[b].slice(0, after, T), seed_of(context, b)));
      }
      past[b].slice(0, after, T).copy_(data[b].slice(0, after, T));
    }
    return with_parts(batch, {x0, z});
  }

  std::uint64_t seed_of(const graph::Context& context, std::int64_t b) const {
    constexpr std::uint64_t purpose = 0x74656163686573ULL;  // "teaches"; keeps it apart from other seeds
    return pong::mix(pong::mix(pong::mix(params.seed, purpose), context.number),
                     static_cast<std::uint64_t>(b));
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
               "mean square error of a frame in [-1,1] from which on it is another game", graph::above(0))
        .param("patience", &P::patience, "most frames of no game that are shown", graph::between(1, 64))
        .unit("frames")
        .shared("seed", &P::seed, "same seed, same serves")
        .block("model", &P::model)
        .add();

}  // namespace
}  // namespace stages
