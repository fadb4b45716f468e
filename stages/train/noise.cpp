// noise: the straight path between data and noise, and what stands before a frame.
#include "stages/train/noise.h"

#include <torch/types.h>

namespace stages {
namespace {

// Levels [B,T] over the frames of clips.
at::Tensor arrange(const at::Tensor& t, const NoiseParams& params, at::Generator random) {
  const auto B = t.size(0), T = t.size(1);
  const auto present = params.per == "clip" ? t.slice(1, 0, 1).repeat({1, T}) : t;
  if (params.context != "prefix" || T == 1) return present;
  const auto frames = torch::randint(1, T, {B, 1}, random);  // how long each past is
  const auto past = params.context_noise * torch::rand({B, 1}, random);
  return torch::where(torch::arange(T) < frames, past, present);  // [T] < [B,1] → [B,T]
}

NoisyPatches at_levels(const Patches& clean, const at::Tensor& t, at::Generator random) {
  const auto z = torch::randn(clean.x.sizes(), random, clean.x.options());
  const auto v = clean.x - z;
  const auto level = t.unsqueeze(-1).unsqueeze(-1);  // [B,T] → [B,T,1,1]
  return {clean.x - level * v, v, t, clean.action, 0};
}

}  // namespace

NoisyPatches mix(const Patches& clean, const at::Tensor& t, const NoiseParams& params, at::Generator random) {
  const auto noisy = at_levels(clean, arrange(t, params, random), random);
  if (params.context != "given") return noisy;
  const auto past = at_levels(clean, params.context_noise * torch::rand(t.sizes(), random), random);
  const auto behind = [](const at::Tensor& given, const at::Tensor& own) {
    return torch::cat({given, own}, 1);
  };
  return {behind(past.x_t, noisy.x_t), behind(past.v, noisy.v), behind(past.t, noisy.t),
          behind(past.action, noisy.action), t.size(1)};
}

}  // namespace stages
