// logit_normal_noise: mix clean patches with Gaussian noise, at levels around the middle.
//
//   t = sigmoid(n)        n ~ N(mean, std)
//
// Levels near both ends are rare: the hard part of the way lies between. For what all samplers share, see noise.h.
//
// Source: Esser et al. 2024 arXiv:2403.03206
#include "graph/stage.h"
#include "stages/random.h"
#include "stages/train/noise.h"
#include "stages/train/noise_levels.h"
#include "stages/types.h"

namespace stages {
namespace {

struct LogitNormalNoise {
  struct Params : NoiseParams, LogitNormalLevels {};

  NoisyPatches operator()(const Patches& clean, const graph::Context& context) const {
    const auto random = generator(params.seed, context.number, "logit_normal_noise");
    const auto t = params.draw(clean.action.sizes(), random);
    return mix(clean, t, params, random);
  }

  Params params;
};

const bool registered = [] {
  graph::Stage<LogitNormalNoise> stage("logit_normal_noise");
  stage.summary("noise every frame at a logit-normal level");
  return declare_noise(LogitNormalLevels::declare(stage)).add();
}();

}  // namespace
}  // namespace stages
