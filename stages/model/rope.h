// rope: rotary positions, which make attention scores depend on how far apart two tokens are.
//
// Interleaved pairs (x0,x1),(x2,x3)… of a head turn by position·θ_j, θ_j = C^(−2j/w) over a rotated width w:
//   rope   one position over the whole token sequence, w = d_head
//   vid    three parts of ⌊d_head/3⌋ for column, row and frame, each with base ⌊C/3⌋, the rest unturned; a
//   register
//          stands one column and one row past the grid
//   learn  sine and cosine are parameters, an entry per position in view and channel, `rope`'s at the start
//
// Source: Su et al. 2021 arXiv:2104.09864; the kinds are toy-wm's
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/model/config.h"

namespace model {

// Factors for S tokens, broadcastable to [B, H, S, d_head].
struct Rotation {
  at::Tensor cos, sin;  // [..., S, d_head]
};

// [frames·N, d_head] float32 on the CPU, for `frames` frames from absolute frame index `first`; phases in
// float64, so that a game may run for years. For `learn` this is the table's start.
Rotation rotation(const Config& config, std::int64_t first, std::int64_t frames);
// The same into memory.
void rotation(const Config& config, std::int64_t first, std::int64_t frames, float* cos, float* sin);

// [B, H, S, d_head], each pair turned.
at::Tensor rotate(const at::Tensor& x, const Rotation& rotation);

}  // namespace model
