// attention: softmax attention with scale 1 over heads whose queries and keys were normed, and who may see
// whom.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/model/config.h"

namespace model {

// x·w/√(mean(x²) + 1e-6) over the last dimension. Source: Zhang & Sennrich 2019 arXiv:1910.07467
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight);

// queries [B,H,Q,d_head], keys and values [B,H,K,d_head], bias [Q,K] or undefined → [B,H,Q,d_head]
at::Tensor attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                  const at::Tensor& bias);

// What to add to the scores of a clip: [frames·N, frames·N] float32, 0 where a token may look and −∞
// elsewhere. It may look at its own frame and the n_window−1 before it. Undefined where it may look
// everywhere. With a past (see Mmdit::forward) frames are of both kinds, the past first.
at::Tensor frame_mask(const Config& config, std::int64_t frames, std::int64_t past = 0);

}  // namespace model
