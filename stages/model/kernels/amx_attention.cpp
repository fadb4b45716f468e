// amx_attention: attention within clips on the matrix unit of processors with AMX, sixteen queries at a time.
//
// The keys go by in pairs of tiles, 32 keys that begin at a multiple of 32. Those of them that are not seen get a share of
// 0, so that where they are finite they count for nothing. What was just written number by number is slow to load as a
// tile, and the other way round; so where that fits the first cache a step goes over all pairs before the next begins.
#include <cmath>
#include <cstring>

#include "stages/model/kernels/amx.h"
#include "stages/model/kernels/attention.h"
#include "stages/model/kernels/parallel.h"
#include "stages/model/kernels/scratch.h"

namespace model::kernels {
namespace {

// Hands out parts of a thread's memory; with no memory it counts what is asked for.
class Room {
 public:
  explicit Room(float* memory) : memory_(memory) {}

  float* floats(Index count) {
    float* const part = memory_ ? memory_ + used_ : nullptr;
    used_ += count;
    return part;
  }
  Bfloat* tiles(Index count) { return reinterpret_cast<Bfloat*>(floats(count * both / 2)); }  // of both parts
  Index used() const { return used_; }

 private:
  float* memory_;
  Index used_ = 0;
};

constexpr Index square = tile * tile;

// Sizes in tiles.
struct Tiles {
  Index keys,  // in pairs of tiles
      along,   // a head, along k
      across,  // a head, across, an even number
      pairs;   // that a query sees at most, or more: past and own frame may share one, seen in part by each
  explicit Tiles(const Clips& clips)
      : keys(tiles_of(clips.frames * clips.tokens, depth)),
        along(tiles_of(clips.d_head, depth)),
        across(2 * along),
        pairs(2 * keys) {}
};

// A pass's memory, in this thread's scratch.
template <class Memory>
Memory memory_of(const Tiles& tiles) {
  Room nowhere(nullptr);
  Memory(nowhere, tiles);
  Room room(scratch(Scratch::heads, nowhere.used()));
  return Memory(room, tiles);
}

// Tiles 0 and 1 += a·b, b's second half so far behind its first.
void add_product(const Bfloat* a, const Bfloat* b, Index b_half) {
  is_written();
  _tile_loadd(4, a, line);
  _tile_loadd(5, a + tile_size, line);
  _tile_loadd(6, b, line);
  _tile_loadd(7, b + b_half, line);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(0, 5, 6);
  _tile_dpbf16ps(1, 5, 7);
  _tile_loadd(6, b + tile_size, line);
  _tile_loadd(7, b + b_half + tile_size, line);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
}
void begin_product() {
  _tile_zero(0);
  _tile_zero(1);
}
// to [16, 32], rows so far apart
void end_product(float* to, Index row) {
  _tile_stored(0, to, bytes(row));
  _tile_stored(1, to + tile, bytes(row));
}

// Gradients of sixteen keys and values, transposed: dk and dv [2·16, 16] += qᵀ·ds and d_outᵀ·p. What is summed over is
// sixteen queries, half the depth of a tile: so ds and p have the larger parts above the smaller ones, and q and d_out
// the larger ones twice side by side, and then the smaller ones alone.
void add_products(const Bfloat* q, const Bfloat* d_out, const Bfloat* ds, const Bfloat* p, float* dk,
                  float* dv) {
  is_written();
  _tile_loadd(0, dk, line);
  _tile_loadd(1, dk + square, line);
  _tile_loadd(2, dv, line);
  _tile_loadd(3, dv + square, line);
  _tile_loadd(6, ds, line);
  _tile_loadd(7, p, line);
  for (int part = 0; part < 2; ++part, q += tile_size, d_out += tile_size) {
    _tile_loadd(4, q, line);
    _tile_loadd(5, q + both, line);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 5, 6);
    _tile_loadd(4, d_out, line);
    _tile_loadd(5, d_out + both, line);
    _tile_dpbf16ps(2, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, dk, line);
  _tile_stored(1, dk + square, line);
  _tile_stored(2, dv, line);
  _tile_stored(3, dv + square, line);
}

// e^x as in vector.h
__m512 exponential(__m512 x) {
  x = _mm512_min_ps(_mm512_set1_ps(88), _mm512_max_ps(_mm512_set1_ps(-87), x));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)), 0);
  const __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4F),
                                    _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), x));
  __m512 y = _mm512_set1_ps(1.9875691500e-4F);
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.3981999507e-3F));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(8.3334519073e-3F));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(4.1665795894e-2F));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.6666665459e-1F));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(5.0000001201e-1F));
  y = _mm512_add_ps(_mm512_fmadd_ps(y, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1));
  return _mm512_scalef_ps(y, n);
}

// e^(score - less) of the keys that are seen.
__m512 share(__mmask16 seen, const float* scores, __m512 less) {
  return _mm512_maskz_mov_ps(seen, exponential(_mm512_sub_ps(_mm512_loadu_ps(scores), less)));
}

constexpr Index pair_size = tile * depth;  // scores of sixteen queries

// Of a pair of tiles, which keys are seen.
struct Pair {
  Index at;  // the pair's number
  __mmask16 low, high;
};
// visit(n, pair) for the n-th pair of tiles of which some are seen
template <class Visit>
void for_pairs(const Seen& seen, const Visit& visit) {
  Index n = 0;
  for (const Keys& piece : seen.pieces) {
    if (piece.count == 0) continue;
    const Index end = piece.first + piece.count;
    for (Index at = piece.first / depth; at * depth < end; ++at) {
      const auto mask = [&](Index from) {
        return static_cast<__mmask16>(first(end - from) & ~first(piece.first - from));
      };
      visit(n++, Pair{at, mask(at * depth), mask(at * depth + tile)});
    }
  }
}

// Sixteen queries (or gradients of theirs) times a pair's keys (or values): scores [16, 32].
void multiply_by_keys(const Tiles& tiles, const Pair& pair, const Bfloat* queries, const Bfloat* keys,
                      float* scores) {
  const Index half = tiles.along * both;
  begin_product();
  for (Index j = 0; j < half; j += both) add_product(queries + j, keys + 2 * pair.at * half + j, half);
  end_product(scores, depth);
}
// Shares (or gradients of scores) [pairs] times values (or keys): sums [16, across·16].
void sum_over_keys(const Tiles& tiles, const Seen& seen, const Bfloat* shares, const Bfloat* values,
                   float* sums) {
  for (Index j = 0; j < tiles.across; j += 2) {
    begin_product();
    for_pairs(seen, [&](Index n, const Pair& pair) {
      add_product(shares + n * both, values + (j * tiles.keys + pair.at) * both, tiles.keys * both);
    });
    end_product(sums + j * tile, tiles.across * tile);
  }
}

// Keys [d_head, S] or values [S, d_head], element (key, j) at from[key·key_step + j·step], as right factors of what is
// summed over j (with tiles `along` for each sixteen keys), or over the keys (with tiles of all keys for each sixteen j).
void pack_over_head(const Clips& clips, const Tiles& tiles, const float* from, Index key_step, Index step,
                    Bfloat* to) {
  for (Index key = 0; key < tiles.keys * depth; key += tile)
    for (Index j = 0; j < tiles.along; ++j, to += both)
      pack_tile<Side::right>(from + key * key_step + j * depth * step, key_step, step,
                             clips.frames * clips.tokens - key, clips.d_head - j * depth, to);
}
void pack_over_keys(const Clips& clips, const Tiles& tiles, const float* from, Index key_step, Index step,
                    Bfloat* to) {
  for (Index j = 0; j < tiles.across; ++j)
    for (Index key = 0; key < tiles.keys * depth; key += depth, to += both)
      pack_tile<Side::right>(from + key * key_step + j * tile * step, step, key_step, clips.d_head - j * tile,
                             clips.frames * clips.tokens - key, to);
}

// Sixteen queries [.., d_head] or as many as there are, `row` numbers apart, as a left factor.
void pack_queries(const Clips& clips, const float* from, Index row, Index queries, Bfloat* to) {
  for (Index j = 0; j < clips.d_head; j += depth, to += both)
    pack_tile<Side::left>(from + j, row, 1, queries, clips.d_head - j, to);
}
// The same transposed, as add_products() wants it.
void pack_columns(const Clips& clips, const Tiles& tiles, const float* from, Index row, Index queries,
                  Bfloat* to) {
  for (Index j = 0; j < tiles.across; ++j, to += both) {
    pack_tile<Side::left>(from + j * tile, 1, row, clips.d_head - j * tile, queries, to);
    for (Bfloat* parts = to; parts < to + tile_size; parts += depth)
      std::memcpy(parts + tile, parts, tile * sizeof(Bfloat));
  }
}

// Sixteen queries at most: of which frame, which is the first of them in q, dq and log_sum, where out begins.
struct Asked {
  Index frame, query, out, count;
};
template <class Visit>
void for_queries(const Clips& clips, Index head, const Visit& visit) {
  const Index N = clips.tokens, Q = (clips.frames - clips.first) * N, d = clips.heads * clips.d_head;
  for (Index frame = clips.first; frame < clips.frames; ++frame)
    for (Index i = 0; i < N; i += tile) {
      const Index asked = (frame - clips.first) * N + i;
      visit(Asked{frame, head * Q + asked,
                  (head / clips.heads * Q + asked) * d + head % clips.heads * clips.d_head,
                  smaller(tile, N - i)});
    }
}

struct Forward {
  Forward(Room& room, const Tiles& tiles)
      : keys(room.tiles(2 * tiles.keys * tiles.along)),
        values(room.tiles(tiles.across * tiles.keys)),
        q(room.tiles(tiles.along)),
        shares(room.tiles(tiles.pairs)),
        scores(room.floats(tiles.pairs * pair_size)),
        sums(room.floats(tile * tiles.across * tile)) {}

  Bfloat *keys, *values, *q, *shares;
  float *scores, *sums;
};

// Sixteen queries' scores become shares, e^(score - most), of a total that is yet to be divided by.
void exponentiate(const Seen& seen, const float* scores, Bfloat* shares, __m512 most[tile],
                  __m512 total[tile]) {
  for (Index i = 0; i < tile; ++i) {
    most[i] = _mm512_set1_ps(-INFINITY);
    total[i] = _mm512_setzero_ps();
  }
  for_pairs(seen, [&](Index n, const Pair& pair) {
    for (Index i = 0; i < tile; ++i) {
      const float* const mine = scores + n * pair_size + i * depth;
      most[i] = _mm512_mask_max_ps(most[i], pair.low, most[i], _mm512_loadu_ps(mine));
      most[i] = _mm512_mask_max_ps(most[i], pair.high, most[i], _mm512_loadu_ps(mine + tile));
    }
  });
  for (Index i = 0; i < tile; ++i) most[i] = _mm512_set1_ps(_mm512_reduce_max_ps(most[i]));
  for_pairs(seen, [&](Index n, const Pair& pair) {
    for (Index i = 0; i < tile; ++i) {
      const float* const mine = scores + n * pair_size + i * depth;
      const __m512 low = share(pair.low, mine, most[i]), high = share(pair.high, mine + tile, most[i]);
      total[i] = _mm512_add_ps(total[i], _mm512_add_ps(low, high));
      split<false>(low, high, shares + n * both + i * depth);
    }
  });
}

// A head's keys' gradients, in tiles.
Index gradients_of(const Tiles& tiles) { return 2 * tiles.keys * tiles.across * square; }

struct Backward {
  Backward(Room& room, const Tiles& tiles)
      : keys(room.tiles(2 * tiles.keys * tiles.along)),
        values(room.tiles(2 * tiles.keys * tiles.along)),
        keys_over_keys(room.tiles(tiles.across * tiles.keys)),
        q(room.tiles(tiles.along)),
        gradient(room.tiles(tiles.along)),
        q_columns(room.tiles(tiles.across)),
        gradient_columns(room.tiles(tiles.across)),
        ds_rows(room.tiles(tiles.pairs)),
        ds_columns(room.tiles(1)),
        p_columns(room.tiles(1)),
        dk(room.floats(gradients_of(tiles))),
        dv(room.floats(gradients_of(tiles))),
        dq(room.floats(tile * tiles.across * tile)),
        scores(room.floats(pair_size)),
        dp(room.floats(pair_size)) {}

  Bfloat *keys, *values, *keys_over_keys, *q, *gradient, *q_columns, *gradient_columns;
  Bfloat *ds_rows, *ds_columns, *p_columns;
  float *dk, *dv;  // [keys/16, across, 16, 16], transposed
  float *dq, *scores, *dp;
};

// Of sixteen queries and a pair: scores and dp [16, 32] become p and ds, in the forms that products want them in.
void differentiate(const Pair& pair, const Backward& of, const float* log_sum, const float* along,
                   Bfloat* ds_rows) {
  for (Index i = 0; i < tile; i += 2) {
    __m512 p[2][2], ds[2][2];
    for (int r = 0; r < 2; ++r) {
      const __m512 less = _mm512_set1_ps(log_sum[i + r]), middle = _mm512_set1_ps(along[i + r]);
      for (int c = 0; c < 2; ++c) {
        const Index here = (i + r) * depth + c * tile;
        p[r][c] = share(c == 0 ? pair.low : pair.high, of.scores + here, less);
        ds[r][c] = _mm512_mul_ps(p[r][c], _mm512_sub_ps(_mm512_loadu_ps(of.dp + here), middle));
      }
      split<false>(ds[r][0], ds[r][1], ds_rows + (i + r) * depth);
    }
    for (int c = 0; c < 2; ++c) {
      constexpr Index half = tile_size / 2;
      split<true>(ds[0][c], ds[1][c], of.ds_columns + c * tile_size + i * tile, half);
      split<true>(p[0][c], p[1][c], of.p_columns + c * tile_size + i * tile, half);
    }
  }
}

// Σ a·b over a head
float dot(const float* a, const float* b, Index d_head) {
  __m512 sum = _mm512_setzero_ps();
  for (Index j = 0; j < d_head; j += tile) {
    const __mmask16 there = first(d_head - j);
    sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(there, a + j), _mm512_maskz_loadu_ps(there, b + j), sum);
  }
  return _mm512_reduce_add_ps(sum);
}

// to[d_head] = from·factor
void store_head(const float* from, float factor, Index d_head, float* to) {
  for (Index j = 0; j < d_head; j += tile)
    _mm512_mask_storeu_ps(to + j, first(d_head - j),
                          _mm512_mul_ps(_mm512_loadu_ps(from + j), _mm512_set1_ps(factor)));
}

// Tiles [keys/16, across, 16, 16] of a head's gradients, transposed, to [S, d_head].
void unpack(const Clips& clips, const Tiles& tiles, float* from, float* to) {
  const Index S = clips.frames * clips.tokens;
  for (Index key = 0; key < S; key += tile)
    for (Index j = 0; j < tiles.across; ++j, from += square) {
      transpose(from);
      for (Index i = 0; i < smaller(tile, S - key); ++i)
        _mm512_mask_storeu_ps(to + (key + i) * clips.d_head + j * tile, first(clips.d_head - j * tile),
                              _mm512_loadu_ps(from + i * tile));
    }
}

// Adds what sixteen queries give to gradients of keys and values, and has those of their own in of.dq.
void differentiate(const Clips& clips, const Tiles& tiles, const Backward& of, const Asked& asked,
                   const float* out, const float* log_sum, const float* d_out) {
  const Index dh = clips.d_head, d = clips.heads * dh;
  const Seen seen = seen_from(clips, asked.frame);
  pack_queries(clips, clips.q + asked.query * dh, dh, asked.count, of.q);
  pack_queries(clips, d_out + asked.out, d, asked.count, of.gradient);
  pack_columns(clips, tiles, clips.q + asked.query * dh, dh, asked.count, of.q_columns);
  pack_columns(clips, tiles, d_out + asked.out, d, asked.count, of.gradient_columns);
  float less[tile] = {}, along[tile] = {};
  for (Index i = 0; i < asked.count; ++i) {
    less[i] = log_sum[asked.query + i];
    along[i] = dot(d_out + asked.out + i * d, out + asked.out + i * d, dh);
  }
  for_pairs(seen, [&](Index n, const Pair& pair) {
    multiply_by_keys(tiles, pair, of.q, of.keys, of.scores);
    multiply_by_keys(tiles, pair, of.gradient, of.values, of.dp);
    differentiate(pair, of, less, along, of.ds_rows + n * both);
    for (Index c = 0; c < 2; ++c)
      for (Index j = 0; j < tiles.across; j += 2) {
        const Index here = ((2 * pair.at + c) * tiles.across + j) * square;
        add_products(of.q_columns + j * both, of.gradient_columns + j * both, of.ds_columns + c * tile_size,
                     of.p_columns + c * tile_size, of.dk + here, of.dv + here);
      }
  });
  sum_over_keys(tiles, seen, of.ds_rows, of.keys_over_keys, of.dq);
}

}  // namespace

void amx_attend(const Clips& clips, float* out, float* log_sum) {
  const Index S = clips.frames * clips.tokens, Q = (clips.frames - clips.first) * clips.tokens,
              dh = clips.d_head;
  const Tiles tiles(clips);
  const double flop_of_head = 2.0 * static_cast<double>(Q) * static_cast<double>(S) * static_cast<double>(dh);
  spread(clips.batch * clips.heads, flop_of_head, [&](Index begin, Index end) {
    const Unit unit;
    const Forward of = memory_of<Forward>(tiles);
    for (Index head = begin; head < end; ++head) {
      pack_over_head(clips, tiles, clips.k + head * dh * clips.k_row, 1, clips.k_row, of.keys);
      pack_over_keys(clips, tiles, clips.v + head * S * dh, dh, 1, of.values);
      for_queries(clips, head, [&](const Asked& asked) {
        const Seen seen = seen_from(clips, asked.frame);
        pack_queries(clips, clips.q + asked.query * dh, dh, asked.count, of.q);
        for_pairs(seen, [&](Index n, const Pair& pair) {
          multiply_by_keys(tiles, pair, of.q, of.keys, of.scores + n * pair_size);
        });
        __m512 most[tile], total[tile];
        exponentiate(seen, of.scores, of.shares, most, total);
        sum_over_keys(tiles, seen, of.shares, of.values, of.sums);
        for (Index i = 0; i < asked.count; ++i) {
          const float sum = _mm512_reduce_add_ps(total[i]);
          log_sum[asked.query + i] = _mm512_cvtss_f32(most[i]) + ::logf(sum);
          store_head(of.sums + i * tiles.across * tile, 1 / sum, dh, out + asked.out + i * clips.heads * dh);
        }
      });
    }
  });
}

// The formulas are attend_backward()'s.
void amx_attend_backward(const Clips& clips, const float* out, const float* log_sum, const float* d_out,
                         float* dq, float* dk, float* dv) {
  const Index S = clips.frames * clips.tokens, Q = (clips.frames - clips.first) * clips.tokens,
              dh = clips.d_head;
  const Tiles tiles(clips);
  const double flop_of_head = 5.0 * static_cast<double>(Q) * static_cast<double>(S) * static_cast<double>(dh);
  spread(clips.batch * clips.heads, flop_of_head, [&](Index begin, Index end) {
    const Unit unit;
    const Backward of = memory_of<Backward>(tiles);
    for (Index head = begin; head < end; ++head) {
      const float* const k = clips.k + head * dh * clips.k_row;
      pack_over_head(clips, tiles, k, 1, clips.k_row, of.keys);
      pack_over_head(clips, tiles, clips.v + head * S * dh, dh, 1, of.values);
      pack_over_keys(clips, tiles, k, 1, clips.k_row, of.keys_over_keys);
      const auto gradients = static_cast<std::size_t>(bytes(gradients_of(tiles)));
      std::memset(of.dk, 0, gradients);
      std::memset(of.dv, 0, gradients);
      for_queries(clips, head, [&](const Asked& asked) {
        differentiate(clips, tiles, of, asked, out, log_sum, d_out);
        for (Index i = 0; i < asked.count; ++i)
          store_head(of.dq + i * tiles.across * tile, 1, dh, dq + (asked.query + i) * dh);
      });
      unpack(clips, tiles, of.dk, dk + head * S * dh);
      unpack(clips, tiles, of.dv, dv + head * S * dh);
    }
  });
}

}  // namespace model::kernels
