// ops: what the network is made of, in two forms of the same mathematics: plain, in libtorch's own operations, for any
// device and type; and fused, for float32 on the CPU, a pass over memory each, with backward passes written by hand
// (see kernels/).
//
// B clips or players, T frames, N tokens a frame, S = T·N, H heads, d = H·d_head. All are differentiable in all their
// tensors, once; of the fused ones, rotations are constants.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/model/config.h"
#include "stages/model/products.h"
#include "stages/model/rope.h"

namespace model {

// y = x·weightᵀ + bias; weight [out, in], bias [out].
struct Linear {
  at::Tensor weight, bias;
};

// 5 x 5, stride 1, zeros around; weight [out, in, 5, 5], bias [out].
struct Filters {
  at::Tensor weight, bias;
};

struct Heads {
  at::Tensor q, k, v;  // [B,H,S,d_head]
};

// Who sees whom in clips: a frame its own and the window-1 before it; a window of 0: all frames. Where the first so
// many frames are the past of the others, as Mmdit::forward has it, `past` says how many.
struct Sight {
  std::int64_t frames, past, window;
  at::Tensor bias;  // frame_mask(), which the plain form adds to the scores
};

struct Ops {
  // x [..., in] → [..., out]
  at::Tensor (*linear)(const at::Tensor& x, const Linear& w);
  // RMSNorm(z)·(1 + scale) + shift; z [B,T,N,d], weight [d], shift and scale [B,T,1,d].
  at::Tensor (*modulated_norm)(const at::Tensor& z, const at::Tensor& weight, const at::Tensor& shift,
                               const at::Tensor& scale);
  // qkv [B,S,3d] → queries and keys normed over d_head, then turned; a rotation without tensors turns nothing.
  Heads (*heads)(const at::Tensor& qkv, const at::Tensor& norm_q, const at::Tensor& norm_k,
                 const Rotation& rotation, std::int64_t n_heads);
  // Softmax attention with scale 1 within clips → [B,Q,d]; queries may be those of the last frames alone, [B,H,Q,d_head].
  at::Tensor (*attend_clips)(const Heads& heads, const Sight& sight);
  // up·silu(gate)
  at::Tensor (*gated_silu)(const at::Tensor& up, const at::Tensor& gate);
  // z + gate·h; z and h [B,T,N,d], gate [B,T,1,d].
  at::Tensor (*gated_sum)(const at::Tensor& z, const at::Tensor& gate, const at::Tensor& h);
  // x [F,H,W,in] → [F,H,W,out]
  at::Tensor (*convolve)(const at::Tensor& x, const Filters& w);
  // GroupNorm over 32 groups of silu(x); x [F,H,W,C], weight and bias [C].
  at::Tensor (*silu_group_norm)(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
};

const Ops& plain_ops();
// Linear layers and attention multiply with these. Throws std::invalid_argument for amx where there is none.
const Ops& fused_ops(Products products);

// Whether this machine and a network of these sizes can take the fused ones: learned positions, heads of a width that
// is no multiple of 8 or above 512 and processors without AVX2 cannot. So d is a multiple of 8 in all fused ones.
bool can_fuse(const Config& config);

}  // namespace model
