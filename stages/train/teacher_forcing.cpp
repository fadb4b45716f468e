// teacher_forcing: give every clip its own frames, nearly clean, as the past of its noisy ones.
//
//   past     x_s = (1 - s) x0 + s z'     s ~ U(0, level),  z' ~ N(0, 1)     frames 0 … T-1, not to be predicted
//   present  as it came                                                     frames T … 2T-1
//
// A noisy frame then sees what play shows it, itself and clean frames before it, at the price of a second pass over the
// clip. Without this stage it sees its fellows, each as noisy as chance has it (diffusion forcing).
//
// Sources: Williams & Zipser 1989 (teacher forcing) · Hu et al. 2024 arXiv:2412.07720 (clean and noisy frames side by
// side) · Valevski et al. 2024 arXiv:2408.14837 (noise on the past keeps roll-outs from drifting)
#include <torch/types.h>

#include "graph/stage.h"
#include "stages/random.h"
#include "stages/types.h"

namespace stages {
namespace {

struct TeacherForcing {
  struct Params {
    double level = 0.2;
    std::uint64_t seed = 0;
  };

  NoisyPatches operator()(const NoisyPatches& noisy, const graph::Context& context) const {
    graph::require(noisy.past == 0, "these clips have a past already");
    const auto random = generator(params.seed, context.number, "teacher_forcing");
    const auto over_patches = [](const at::Tensor& level) { return level.unsqueeze(-1).unsqueeze(-1); };
    const auto x0 = noisy.x_t + over_patches(noisy.t) * noisy.v;
    const auto s = params.level * torch::rand(noisy.t.sizes(), random, noisy.t.options());
    const auto v = x0 - torch::randn(x0.sizes(), random, x0.options());
    return {torch::cat({x0 - over_patches(s) * v, noisy.x_t}, 1), torch::cat({v, noisy.v}, 1),
            torch::cat({s, noisy.t}, 1), torch::cat({noisy.action, noisy.action}, 1), noisy.x_t.size(1)};
  }

  Params params;
};

using P = TeacherForcing::Params;
const bool registered =
    graph::Stage<TeacherForcing>("teacher_forcing")
        .summary("give noisy clips their own clean frames as their past")
        .in("noisy", "x_t and v [B,T,P,D], t and action [B,T]")
        .out("taught", "the same behind T frames of past: [B,2T,P,D] and [B,2T]")
        .param("level", &P::level, "highest noise level of the past", graph::between(0, 1))
        .shared("seed", &P::seed, "same seed, same noise")
        .add();

}  // namespace
}  // namespace stages
