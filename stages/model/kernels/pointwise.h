// pointwise: what a block does between its matrix products, a pass over memory each. d is a multiple of 8, rows are
// contiguous [rows, d] unless a stride says otherwise. A group of `tokens` rows shares shift, scale and gate, which are
// rows of `stride` numbers apart.
#pragma once

#include <cstdint>

namespace model::kernels {

// y = z·r·w·(1 + scale) + shift, r = 1/√(mean(z²) + 1e-6)
struct ModulatedNorm {
  std::int64_t groups, tokens, d, stride;
  const float *z, *weight, *shift, *scale;
};
void forward(const ModulatedNorm& norm, float* y);
// dz [rows, d]; dweight [d] is added to; dshift, dscale [groups, d].
void backward(const ModulatedNorm& norm, const float* dy, float* dz, float* dweight, float* dshift,
              float* dscale);

// y = up·gate·σ(gate)
void gated_silu(std::int64_t count, const float* up, const float* gate, float* y);
void gated_silu_backward(std::int64_t count, const float* up, const float* gate, const float* dy, float* dup,
                         float* dgate);

// x = x·σ(x); x has room for up to 7 more.
void silu(std::int64_t count, float* x);

// y = z + gate·h; y may be z
struct GatedSum {
  std::int64_t groups, tokens, d, stride;
  const float *z, *gate, *h;
};
void forward(const GatedSum& sum, float* y);
// dh [rows, d], dgate [groups, d]; the way to z is dy itself.
void backward(const GatedSum& sum, const float* dy, float* dh, float* dgate);

constexpr std::int64_t widest_head = 512;

// Queries, keys and values of every head out of qkv [B·S, 3·H·d_head]: q and k over their root mean square, times a
// weight [d_head], at most widest_head, turned by cos and sin [S, d_head] (rows of batch b at b·turn_stride; none: not turned).
struct Heads {
  std::int64_t batch, length, heads, d_head;
  const float *qkv, *norm_q, *norm_k, *cos, *sin;
  std::int64_t turn_stride;
};
// q [B,H,S,d_head]; k [B,H,d_head,S] with rows k_row apart; v [B,H,S,d_head] with heads v_head apart.
void forward(const Heads& heads, float* q, float* k, float* v, std::int64_t k_row, std::int64_t v_head);
// dq, dk and dv [B,H,S,d_head] → dqkv; dnorm_q and dnorm_k [d_head] are added to.
void backward(const Heads& heads, const float* dq, const float* dk, const float* dv, float* dqkv,
              float* dnorm_q, float* dnorm_k);

// y = GroupNorm(silu(x)) over 32 groups of neighbouring channels, x [frames, pixels, channels], channels a multiple of
// 32. y may be x; mean and rstd [frames, 32], or none, are what backward() wants.
struct SiluGroupNorm {
  std::int64_t frames, pixels, channels;
  const float *x, *weight, *bias;
};
void forward(const SiluGroupNorm& norm, float* y, float* mean, float* rstd);
// dx; dweight and dbias [channels] are added to.
void backward(const SiluGroupNorm& norm, const float* mean, const float* rstd, const float* dy, float* dx,
              float* dweight, float* dbias);

}  // namespace model::kernels
