// mode_noise: mix clean patches with Gaussian noise, at levels that favour the middle and do not neglect the ends.
//
//   t = 1 - u - scale · (cos²(πu/2) - 1 + u)        u ~ U(0, 1)
//
// The density is largest in the middle for scale above 0, uniform at 0, and largest at the ends below 0. At both ends
// it is 1/(1 + scale), where logit_normal_noise's is 0. For scale from -1 to 2/(π-2), t falls all the way as u rises.
// For what all samplers share, see noise.h.
//
// Source: Esser et al. 2024 arXiv:2403.03206, section 3.1 (and the default, 1.29)
#include "graph/stage.h"
#include "stages/random.h"
#include "stages/train/noise.h"
#include "stages/train/noise_levels.h"
#include "stages/types.h"

namespace stages {
namespace {

struct ModeNoise {
  struct Params : NoiseParams, ModeLevels {};

  NoisyPatches operator()(const Patches& clean, const graph::Context& context) const {
    const auto random = generator(params.seed, context.number, "mode_noise");
    const auto t = params.draw(clean.action.sizes(), random);
    return mix(clean, t, params, random);
  }

  Params params;
};

const bool registered = [] {
  graph::Stage<ModeNoise> stage("mode_noise");
  stage.summary("noise every frame at a level that favours the middle or the ends");
  return declare_noise(ModeLevels::declare(stage)).add();
}();

}  // namespace
}  // namespace stages
