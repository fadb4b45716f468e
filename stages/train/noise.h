// noise: what all noise-level samplers share, mixing clean patches with Gaussian noise at given levels.
#pragma once

#include <ATen/core/Generator.h>

#include "stages/types.h"

namespace stages {

/// x_t = (1 - t) x0 + t z and v = x0 - z with z ~ N(0, 1), for a level t [B,T] a frame.
/// Source: Liu et al. 2022 arXiv:2209.03003 (t = 1 is noise here)
NoisyPatches mix(const Patches& clean, const at::Tensor& t, at::Generator random);

}  // namespace stages
