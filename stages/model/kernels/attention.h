// attention: softmax(q·kᵀ)·v with scale 1, frame by frame, which keeps no matrix of all scores.
//
// A query's scores are made, used and forgotten in the cache; the way back makes them anew from the logarithm of their
// sum. Source: Dao et al. 2022 arXiv:2205.14135 (FlashAttention); here a row's scores fit the cache whole, so there is
// nothing to rescale.
#pragma once

#include <cstdint>

namespace model::kernels {

// Row length of keys [.., d_head, S], which are read up to 15 numbers past the last one.
constexpr std::int64_t key_row(std::int64_t keys) { return keys + 16; }

// A frame's queries, of every head, which see all keys there are. Strides are those of q [H, queries, d_head]
// contiguous, k [H, d_head, keys] and v [H, keys, d_head]. d_head is a multiple of 8.
struct Cached {
  std::int64_t heads, queries, keys, d_head, k_head, k_row, v_head;
  const float *q, *k, *v;
};
// out [queries, H·d_head]
void attend(const Cached& cached, float* out);

// Clips in which a frame's tokens see their own frame and those before it that are in the window; a window of 0 sees
// all frames. Where there is a past, the first so many frames are the past of the others: one of those, after it in time
// by a multiple of `past` frames, sees its own and what the one of the past sees, but that itself. Frames before `first`
// are looked at alone. S = frames·tokens, Q = (frames - first)·tokens.
struct Clips {
  std::int64_t batch, heads, frames, past, first, tokens, window, d_head;
  const float *q, *k, *v;  // [B,H,Q,d_head], [B,H,d_head,k_row], [B,H,S,d_head]
  std::int64_t k_row;      // at least key_row(S)
};

// Who is seen from a frame of these: its past, then itself, often in one piece.
struct Keys {
  std::int64_t first, count;  // tokens
};
struct Seen {
  Keys pieces[2];
};
Seen seen_from(const Clips& clips, std::int64_t frame);

// out [B,Q,H·d_head], log_sum [B,H,Q]
void attend(const Clips& clips, float* out, float* log_sum);
// dq [B,H,Q,d_head], dk and dv [B,H,S,d_head].
void attend_backward(const Clips& clips, const float* out, const float* log_sum, const float* d_out,
                     float* dq, float* dk, float* dv);

// The same two on processors with AMX; amx.h says how exact.
void amx_attend(const Clips& clips, float* out, float* log_sum);
void amx_attend_backward(const Clips& clips, const float* out, const float* log_sum, const float* d_out,
                         float* dq, float* dk, float* dv);

}  // namespace model::kernels
