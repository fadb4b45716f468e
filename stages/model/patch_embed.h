// patch_embed: pixels to patches and back, and patches to tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/model/config.h"
#include "stages/model/ops.h"

namespace model {

// [..., C, H, W] → [..., P, D]: P = H·W/p² patches in reading order, D = p·p·C numbers each in (py, px,
// channel) order. Only rearranges. Throws std::invalid_argument when a side is no multiple of patch_size.
at::Tensor patchify(const at::Tensor& frames, std::int64_t patch_size);

// [..., P, D] → [..., C, H, W], the inverse. The channels follow from D.
at::Tensor unpatchify(const at::Tensor& patches, std::int64_t height, std::int64_t width,
                      std::int64_t patch_size);

// The weights of one stem; which of them are defined follows from the config.
struct PatchEmbedWeights {
  Filters conv1;                        // C → d/2
  at::Tensor norm1_weight, norm1_bias;  // [d/2]
  Filters conv2;                        // d/2 → d/2
  at::Tensor norm2_weight, norm2_bias;  // [d/2]
  Linear linear;        // conv: p·p·d/2 → d in the order (row, column, channel); linear: D → d
  at::Tensor position;  // linear: [P, d], learned
};

// Whether the convolutional stem of this config normalises: the reference does so for widths that are a
// multiple of 32 above 32.
bool stem_has_norms(const Config& config);

// [B, T, P, D] → [B, T, P, d].
//   conv    tokens back to pixels; Conv 5x5, SiLU, GroupNorm(32), Conv 5x5, SiLU, GroupNorm(32); p x p patches; Linear
//   linear  Linear(D → d) plus a learned position per patch
at::Tensor embed_patches(const Config& config, const Ops& ops, const PatchEmbedWeights& weights,
                         const at::Tensor& patches);

}  // namespace model
