// patch_embed: pixels to patches and back, and patches to tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/model/config.h"

namespace model {

// [..., C, H, W] → [..., P, D]: P = H·W/p² patches in reading order, D = p·p·C numbers each in (py, px,
// channel) order. Only rearranges. Throws std::invalid_argument when a side is no multiple of patch_size.
at::Tensor patchify(const at::Tensor& frames, std::int64_t patch_size);

// [..., P, D] → [..., C, H, W], the inverse. The channels follow from D.
at::Tensor unpatchify(const at::Tensor& patches, std::int64_t height, std::int64_t width,
                      std::int64_t patch_size);

// The weights of one stem; which of them are defined follows from the config.
struct PatchEmbedWeights {
  at::Tensor conv1_weight, conv1_bias;    // [d/2, C, 5, 5], [d/2]
  at::Tensor norm1_weight, norm1_bias;    // [d/2]
  at::Tensor conv2_weight, conv2_bias;    // [d/2, d/2, 5, 5], [d/2]
  at::Tensor norm2_weight, norm2_bias;    // [d/2]
  at::Tensor linear_weight, linear_bias;  // conv: [d, p·p·d/2], linear: [d, D]; [d]
  at::Tensor position;                    // linear: [P, d], learned
};

// Whether the convolutional stem of this config normalises: the reference does so for widths that are a
// multiple of 32 above 32.
bool stem_has_norms(const Config& config);

// [B, T, P, D] → [B, T, P, d].
//   conv    tokens back to pixels; Conv 5x5, SiLU, GroupNorm(32), Conv 5x5, SiLU, GroupNorm(32); p x p
//   patches
//           flattened in (channel, py, px) order; Linear
//   linear  Linear(D → d) plus a learned position per patch
at::Tensor embed_patches(const Config& config, const PatchEmbedWeights& weights, const at::Tensor& patches);

}  // namespace model
