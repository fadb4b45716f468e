// pixels: 8-bit colours to the network's numbers and back, [0,255] ↔ [-1,1] by x/127.5 - 1.
#pragma once

#include <ATen/core/Tensor.h>

namespace stages {

/// uint8 → float32 in [-1,1], same shape.
at::Tensor from_bytes(const at::Tensor& bytes);

/// float → uint8, clamped and rounded; the inverse of from_bytes on its range. Same shape.
at::Tensor to_bytes(const at::Tensor& values);

}  // namespace stages
