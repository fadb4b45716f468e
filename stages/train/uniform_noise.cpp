// uniform_noise: mix clean patches with Gaussian noise, at every level between two equally often.
//
//   t ~ U(low, high)
//
// For what all samplers share, see noise.h.
//
// Source: Liu et al. 2022 arXiv:2209.03003
#include "graph/stage.h"
#include "stages/random.h"
#include "stages/train/noise.h"
#include "stages/train/noise_levels.h"
#include "stages/types.h"

namespace stages {
namespace {

struct UniformNoise {
  struct Params : NoiseParams, UniformLevels {};

  NoisyPatches operator()(const Patches& clean, const graph::Context& context) const {
    const auto random = generator(params.seed, context.number, "uniform_noise");
    const auto t = params.draw(clean.action.sizes(), random);
    return mix(clean, t, params, random);
  }

  Params params;
};

const bool registered = [] {
  graph::Stage<UniformNoise> stage("uniform_noise");
  stage.summary("noise every frame at a uniform level");
  return declare_noise(UniformLevels::declare(stage)).add();
}();

}  // namespace
}  // namespace stages
