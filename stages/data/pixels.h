// pixels: 8-bit colours to the network's numbers and back.
//
//   linear   [0,255] ↔ [-1,1] by x/127.5 - 1
//   zero     the same, but pixels of the background's colour (6,24,24) become 0 in all colours, as in the
//            reference. Going back, a pixel whose bytes all lie in 64…191, within 0.5 of 0, is the background, where the
//            reference shows grey 128.
//
// `zero` suits frames of pure palette colours. On anti-aliased ones it jumps: one shade off the background is
// about -0.95.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/model/config.h"
#include "stages/types.h"

namespace stages {

/// What the config's `background` means.
Background background_of(const model::Config& config);

/// uint8 [..., C] → float32 in [-1,1], same shape. `zero` takes three colours.
at::Tensor from_bytes(const at::Tensor& bytes, Background background);

/// float [..., C] → uint8, clamped and rounded, same shape. The inverse of from_bytes on its range: always for
/// `linear`, and for `zero` on pixels with a colour outside 64…191.
at::Tensor to_bytes(const at::Tensor& values, Background background);

}  // namespace stages
