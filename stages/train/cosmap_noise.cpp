// cosmap_noise: mix clean patches with Gaussian noise, at levels as the cosine schedule of diffusion has them.
//
//   t = 1 - 1/(tan(πu/2) + 1) = sin(πu/2) / (sin(πu/2) + cos(πu/2))        u ~ U(0, 1)
//
// so that signal to noise, (1 - t)/t, is cos/sin as there. The density is 2/(π - 2πt + 2πt²), in the middle twice
// that at the ends. For what all samplers share, see noise.h.
//
// Sources: Esser et al. 2024 arXiv:2403.03206, section 3.1 · Nichol & Dhariwal 2021 arXiv:2102.09672 (the schedule)
#include "graph/stage.h"
#include "stages/random.h"
#include "stages/train/noise.h"
#include "stages/train/noise_levels.h"
#include "stages/types.h"

namespace stages {
namespace {

struct CosmapNoise {
  struct Params : NoiseParams, CosmapLevels {};

  NoisyPatches operator()(const Patches& clean, const graph::Context& context) const {
    const auto random = generator(params.seed, context.number, "cosmap_noise");
    const auto t = params.draw(clean.action.sizes(), random);
    return mix(clean, t, params, random);
  }

  Params params;
};

const bool registered = [] {
  graph::Stage<CosmapNoise> stage("cosmap_noise");
  stage.summary("noise every frame at a level of the cosine schedule");
  return declare_noise(stage).add();
}();

}  // namespace
}  // namespace stages
