// attention: softmax(q·kᵀ)·v with scale 1, frame by frame, which keeps no matrix of all scores.
#include "stages/model/kernels/attention.h"

#include <cmath>

#include "stages/model/kernels/parallel.h"
#include "stages/model/kernels/product.h"
#include "stages/model/kernels/scratch.h"

namespace model::kernels {
namespace {

Index padded(Index keys) { return (keys + tile_columns - 1) / tile_columns * tile_columns; }

// A row's scores become e^(score - most), which its products are to be divided by the sum of.
struct Sum {
  float of_exponentials, most;
};
Sum exponentiate(float* scores, Index keys) {
  const Index whole = keys / lanes * lanes;
  Floats most8 = all(-INFINITY);
  for (Index j = 0; j < whole; j += lanes) most8 = larger(most8, load(scores + j));
  float most = largest(most8);
  for (Index j = whole; j < keys; ++j) most = scores[j] > most ? scores[j] : most;
  // What lies beyond the last key counts for nothing.
  for (Index j = keys; j < whole + lanes; ++j) scores[j] = -INFINITY;
  Floats total = all(0);
  for (Index j = 0; j < keys; j += lanes) {
    const Floats p = exp(load(scores + j) - all(most));
    store(scores + j, p);
    total += p;
  }
  return {sum(total), most};
}

void transpose(const float* from, Index rows, Index columns, float* to, Index to_row) {
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j) to[j * to_row + i] = from[i * columns + j];
}

// Some neighbouring queries of one head, and what they see. Result i goes to out + i·out_row.
struct Attention {
  Index queries, d_head, k_row, out_row;
  Seen seen;
  const float *q, *k, *v;
  float* out;
  float* log_sum;  // [queries] of e^score, for the way back; or none
};

void attend(const Attention& a) {
  const auto [past, own] = a.seen.pieces;
  const Index keys = past.count + own.count, row = past.count + padded(own.count) + tile_columns + lanes;
  float* const scores = scratch(Scratch::scores, tile_rows * row);
  for (Index i = 0, rows = 0; i < a.queries; i += rows) {
    rows = rows_of_tile(a.queries - i);
    const Left queries{a.q + i * a.d_head, a.d_head, 1};
    product<From::zero>(rows, padded(past.count), a.d_head, queries, a.k + past.first, a.k_row, scores, row);
    product<From::zero>(rows, padded(own.count), a.d_head, queries, a.k + own.first, a.k_row,
                        scores + past.count, row);
    float sums[tile_rows];
    for (Index r = 0; r < rows; ++r) {
      const Sum sum = exponentiate(scores + r * row, keys);
      sums[r] = sum.of_exponentials;
      if (a.log_sum) a.log_sum[i + r] = sum.most + ::logf(sum.of_exponentials);
    }
    float* const out = a.out + i * a.out_row;
    product<From::zero>(rows, a.d_head, past.count, {scores, row, 1}, a.v + past.first * a.d_head, a.d_head,
                        out, a.out_row);
    if (own.count > 0)
      product<From::before>(rows, a.d_head, own.count, {scores + past.count, row, 1},
                            a.v + own.first * a.d_head, a.d_head, out, a.out_row);
    for (Index r = 0; r < rows; ++r)
      for (Index j = 0; j < a.d_head; j += lanes)
        store(out + r * a.out_row + j, load(out + r * a.out_row + j) * all(1 / sums[r]));
  }
}

}  // namespace

Seen seen_from(const Clips& clips, std::int64_t frame) {
  const Index N = clips.tokens;
  if (clips.window == 0) return {Keys{0, clips.frames * N}, Keys{0, 0}};
  const Index time = clips.past == 0 ? frame : frame % clips.past,
              oldest = larger(0, time - clips.window + 1);
  if (time == frame) return {Keys{oldest * N, (frame + 1 - oldest) * N}, Keys{0, 0}};
  return {Keys{oldest * N, (time - oldest) * N}, Keys{frame * N, N}};
}

void attend(const Cached& cached, float* out) {
  const double flop_of_head = 4.0 * static_cast<double>(cached.queries) * static_cast<double>(cached.keys) *
                              static_cast<double>(cached.d_head);
  spread(cached.heads, flop_of_head, [&](Index begin, Index end) {
    for (Index h = begin; h < end; ++h)
      attend(Attention{cached.queries, cached.d_head, cached.k_row, cached.heads * cached.d_head,
                       Seen{Keys{0, cached.keys}, Keys{0, 0}}, cached.q + h * cached.queries * cached.d_head,
                       cached.k + h * cached.k_head, cached.v + h * cached.v_head, out + h * cached.d_head,
                       nullptr});
  });
}

void attend(const Clips& clips, float* out, float* log_sum) {
  const Index S = clips.frames * clips.tokens, Q = (clips.frames - clips.first) * clips.tokens,
              dh = clips.d_head, d = clips.heads * dh;
  const double flop_of_head = 2.0 * static_cast<double>(Q) * static_cast<double>(S) * static_cast<double>(dh);
  spread(clips.batch * clips.heads, flop_of_head, [&](Index begin, Index end) {
    for (Index head = begin; head < end; ++head)
      for (Index frame = clips.first; frame < clips.frames; ++frame) {
        const Index query = (frame - clips.first) * clips.tokens;
        attend(Attention{clips.tokens, dh, clips.k_row, d, seen_from(clips, frame),
                         clips.q + (head * Q + query) * dh, clips.k + head * dh * clips.k_row,
                         clips.v + head * S * dh,
                         out + (head / clips.heads * Q + query) * d + head % clips.heads * dh,
                         log_sum + head * Q + query});
      }
  });
}

// With p = e^(score - log_sum), dp = d_out·vᵀ and ds = p·(dp - d_out·out):  dq = ds·k,  dk = dsᵀ·q,  dv = pᵀ·d_out.
// The keys go by in blocks that, with the scores of a frame's queries, stay in the first two caches.
void attend_backward(const Clips& clips, const float* out, const float* log_sum, const float* d_out,
                     float* dq, float* dk, float* dv) {
  constexpr Index block = 64;
  const Index S = clips.frames * clips.tokens, N = clips.tokens, Q = (clips.frames - clips.first) * N,
              dh = clips.d_head, d = clips.heads * dh;
  const double flop_of_head = 5.0 * static_cast<double>(Q) * static_cast<double>(S) * static_cast<double>(dh);
  spread(clips.batch * clips.heads, flop_of_head, [&](Index begin, Index end) {
    const Index v_row = clips.k_row;
    float *const p = scratch(Scratch::scores, N * block),
                 *const ds = scratch(Scratch::score_gradients, N * block),
                 *const k = scratch(Scratch::keys, S * dh), *const v = scratch(Scratch::values, v_row * dh),
                 *const gradient = scratch(Scratch::gradients, N * dh),
                 *const along = scratch(Scratch::along, N);
    for (Index head = begin; head < end; ++head) {
      const Index at = head * S;  // of this head's first token
      const float* const k_columns = clips.k + head * dh * clips.k_row;
      for (Index j = 0; j < dh; ++j)
        for (Index s = 0; s < S; ++s) k[s * dh + j] = k_columns[j * clips.k_row + s];
      transpose(clips.v + at * dh, S, dh, v, v_row);
      zero(dq + head * Q * dh, Q * dh);
      zero(dk + at * dh, S * dh);
      zero(dv + at * dh, S * dh);
      for (Index frame = clips.first; frame < clips.frames; ++frame) {
        const Index asked = (frame - clips.first) * N, query = head * Q + asked;
        const float* const q = clips.q + query * dh;
        for (Index i = 0; i < N; ++i) {
          const Index here = (head / clips.heads * Q + asked + i) * d + head % clips.heads * dh;
          Floats products = all(0);
          for (Index j = 0; j < dh; j += lanes) {
            store(gradient + i * dh + j, load(d_out + here + j));
            products += load(d_out + here + j) * load(out + here + j);
          }
          along[i] = sum(products);
        }
        for (const auto& [first, count] : seen_from(clips, frame).pieces)
          for (Index key = first; key < first + count; key += block) {
            const Index keys = smaller(block, first + count - key);
            product<From::zero>(N, padded(keys), dh, {q, dh, 1}, k_columns + key, clips.k_row, p, block);
            product<From::zero>(N, padded(keys), dh, {gradient, dh, 1}, v + key, v_row, ds, block);
            for (Index i = 0; i < N; ++i) {
              const Floats less = all(log_sum[query + i]), middle = all(along[i]);
              for (Index j = i * block; j < i * block + keys; j += lanes) {
                const Floats share = exp(load(p + j) - less);
                store(p + j, share);
                store(ds + j, share * (load(ds + j) - middle));
              }
            }
            product<From::before>(N, dh, keys, {ds, block, 1}, k + key * dh, dh, dq + query * dh, dh);
            product<From::before>(keys, dh, N, {ds, 1, block}, q, dh, dk + (at + key) * dh, dh);
            product<From::before>(keys, dh, N, {p, 1, block}, gradient, dh, dv + (at + key) * dh, dh);
          }
      }
    }
  });
}

}  // namespace model::kernels
