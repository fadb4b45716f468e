// logit_normal_noise: mix clean patches with Gaussian noise, at a random noise level for every frame.
//
//   x_t = (1 - t) x0 + t z        z ~ N(0, 1),  t = sigmoid(n),  n ~ N(mean, std)
//   v   = x0 - z                  t = 0 is data, t = 1 is noise
//
// Each frame has its own t (diffusion forcing), so one clip shows clean past frames beside noisy present ones,
// which is what the network meets in play. The draw depends on seed and message number alone.
//
// Sources: Liu et al. 2022 arXiv:2209.03003 · Esser et al. 2024 arXiv:2403.03206 · Chen et al. 2024
// arXiv:2407.01392
#include <torch/types.h>

#include "graph/stage.h"
#include "stages/random.h"
#include "stages/train/noise.h"
#include "stages/types.h"

namespace stages {
namespace {

struct LogitNormalNoise {
  struct Params {
    double mean = 0, std = 1;
    std::uint64_t seed = 0;
  };

  NoisyPatches operator()(const Patches& clean, const graph::Context& context) const {
    const auto random = generator(params.seed, context.number, "logit_normal_noise");
    const auto n = torch::randn(clean.action.sizes(), random, clean.x.options());
    return mix(clean, torch::sigmoid(params.mean + params.std * n), random);
  }

  Params params;
};

using P = LogitNormalNoise::Params;
const bool registered = graph::Stage<LogitNormalNoise>("logit_normal_noise")
                            .summary("noise every frame at a logit-normal level")
                            .in("clean", "x [B,T,P,D] float32 in [-1,1], action [B,T]")
                            .out("noisy", "x_t and v [B,T,P,D], t [B,T] in (0,1), action unchanged")
                            .param("mean", &P::mean, "centre of logit(t); above 0 trains noisier frames")
                            .param("std", &P::std, "spread of logit(t)", graph::above(0))
                            .shared("seed", &P::seed, "same seed, same noise")
                            .add();

}  // namespace
}  // namespace stages
