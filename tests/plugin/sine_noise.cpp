// sine_noise: noise every frame at a level that is mostly near data or near noise.
//
//   t = sin²(π u / 2),  u ~ U(0, 1)
//
// A stage from outside the tree, written as those inside are.
#include <torch/types.h>

#include <numbers>

#include "stages/random.h"
#include "stages/train/noise.h"
#include "stages/types.h"

namespace {

struct SineNoise {
  using Params = stages::NoiseParams;

  stages::NoisyPatches operator()(const stages::Patches& clean, const graph::Context& context) const {
    const auto random = stages::generator(params.seed, context.number, "sine_noise");
    const auto u = torch::rand(clean.action.sizes(), random, clean.x.options());
    return stages::mix(clean, torch::sin(std::numbers::pi / 2 * u).square(), params, random);
  }

  Params params;
};

const bool registered = [] {
  graph::Stage<SineNoise> stage("sine_noise");
  return stages::declare_noise(stage.summary("noise every frame at a level near 0 or near 1")).add();
}();

}  // namespace
