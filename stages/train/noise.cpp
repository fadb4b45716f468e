// noise: the straight path between data and noise, and levels over a clip's frames.
#include "stages/train/noise.h"

#include <torch/types.h>

namespace stages {

at::Tensor arrange(const at::Tensor& t, const NoiseParams& params, at::Generator random) {
  const auto B = t.size(0), T = t.size(1);
  const auto present = params.per == "clip" ? t.slice(1, 0, 1).repeat({1, T}) : t;
  if (params.context == "noisy" || T == 1) return present;
  const auto frames = torch::randint(1, T, {B, 1}, random);  // how long each past is
  const auto past = params.context_noise * torch::rand({B, 1}, random);
  return torch::where(torch::arange(T) < frames, past, present);  // [T] < [B,1] → [B,T]
}

NoisyPatches mix(const Patches& clean, const at::Tensor& t, at::Generator random) {
  const auto z = torch::randn(clean.x.sizes(), random, clean.x.options());
  const auto v = clean.x - z;
  const auto level = t.unsqueeze(-1).unsqueeze(-1);  // [B,T] → [B,T,1,1]
  return {clean.x - level * v, v, t, clean.action, 0};
}

}  // namespace stages
