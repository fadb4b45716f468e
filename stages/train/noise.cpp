// noise: the straight path between data and noise.
#include "stages/train/noise.h"

#include <torch/types.h>

namespace stages {

NoisyPatches mix(const Patches& clean, const at::Tensor& t, at::Generator random) {
  const auto z = torch::randn(clean.x.sizes(), random, clean.x.options());
  const auto v = clean.x - z;
  const auto level = t.unsqueeze(-1).unsqueeze(-1);  // [B,T] → [B,T,1,1]
  return {clean.x - level * v, v, t, clean.action, 0};
}

}  // namespace stages
