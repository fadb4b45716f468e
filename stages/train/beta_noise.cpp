// beta_noise: mix clean patches with Gaussian noise, at beta-distributed levels.
//
//   t = a / (a + b)        a ~ Gamma(alpha), b ~ Gamma(beta), so the density is as t^(alpha-1) (1 - t)^(beta-1)
//
// Both 1 is uniform. The end t = 0 is rare with alpha above 1 and frequent below, t = 1 likewise by beta. The
// defaults are π0's and train noisier frames. For what all samplers share, see noise.h.
//
// Source: Black et al. 2024 arXiv:2410.24164 (there t = 1 is data)
#include "graph/stage.h"
#include "stages/random.h"
#include "stages/train/noise.h"
#include "stages/train/noise_levels.h"
#include "stages/types.h"

namespace stages {
namespace {

struct BetaNoise {
  struct Params : NoiseParams, BetaLevels {};

  NoisyPatches operator()(const Patches& clean, const graph::Context& context) const {
    const auto random = generator(params.seed, context.number, "beta_noise");
    const auto t = params.draw(clean.action.sizes(), random);
    return mix(clean, t, params, random);
  }

  Params params;
};

const bool registered = [] {
  graph::Stage<BetaNoise> stage("beta_noise");
  stage.summary("noise every frame at a beta-distributed level");
  return declare_noise(BetaLevels::declare(stage)).add();
}();

}  // namespace
}  // namespace stages
