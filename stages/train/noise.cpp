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

// [B,T] → [B,T,1,1]
at::Tensor over_patches(const at::Tensor& t) { return t.unsqueeze(-1).unsqueeze(-1); }

NoisyPatches at_levels(const Patches& clean, const at::Tensor& t, at::Generator random) {
  const auto z = torch::randn(clean.x.sizes(), random, clean.x.options());
  return with_parts({.t = t, .action = clean.action}, {clean.x, z});
}

}  // namespace

Parts parts_of(const NoisyPatches& batch) {
  const auto x0 = batch.x_t + over_patches(batch.t) * batch.v;
  return {x0, x0 - batch.v};
}

NoisyPatches with_parts(const NoisyPatches& batch, const Parts& parts) {
  auto other = batch;
  other.v = parts.x0 - parts.z;
  other.x_t = parts.x0 - over_patches(batch.t) * other.v;
  return other;
}

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
