// sine_noise: noise every frame at a level that is mostly near data or near noise.
//
//   t = sin²(π u / 2),  u ~ U(0, 1)
//
// A stage from outside the tree, written as those inside are.
#include <torch/types.h>

#include <numbers>

#include "graph/stage.h"
#include "stages/random.h"
#include "stages/train/noise.h"
#include "stages/types.h"

namespace {

struct SineNoise {
  struct Params {
    std::uint64_t seed = 0;
  };

  stages::NoisyPatches operator()(const stages::Patches& clean, const graph::Context& context) const {
    const auto random = stages::generator(params.seed, context.number, "sine_noise");
    const auto u = torch::rand(clean.action.sizes(), random, clean.x.options());
    return stages::mix(clean, torch::sin(std::numbers::pi / 2 * u).square(), random);
  }

  Params params;
};

const bool registered = graph::Stage<SineNoise>("sine_noise")
                            .summary("noise every frame at a level near 0 or near 1")
                            .in("clean", "x [B,T,P,D] float32 in [-1,1], action [B,T]")
                            .out("noisy", "x_t and v [B,T,P,D], t [B,T] in [0,1], action unchanged")
                            .shared("seed", &SineNoise::Params::seed, "same seed, same noise")
                            .add();

}  // namespace
