// amx: tiles for the matrix unit of processors with AMX, which multiplies bfloat16, out of numbers in float32.
//
// Each number is taken as the sum of two of bfloat16, a larger and a smaller part, and of the four products of these the
// smallest is left out: three products of a unit that does them many times faster than vectors do one, and an error of
// about 2^-17 of the numbers multiplied. An infinite number is none here, and one too small for a normal number nothing.
// Source: Henry, Tang and Heinecke 2019 arXiv:1904.06376, there for sums of three, too.
//
// Whoever includes this is compiled for AMX and AVX-512, and calls no inline function of others but the compiler's own,
// as vector.h says of AVX2; so what is here is each file's own.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace model::kernels {
namespace {

using Index = std::int64_t;
using Bfloat = std::uint16_t;

// A tile of the left factor is 16 rows by 32 of k; of the right one 16 pairs of k by 16 columns, a pair side by side;
// of their product 16 by 16 floats. Each is sixteen rows of 64 bytes.
constexpr Index tile = 16, depth = 32, line = 64, tile_size = tile * depth;
// The smaller parts lie in a tile behind that of the larger ones.
constexpr Index both = 2 * tile_size;

constexpr Index tiles_of(Index numbers, Index in_one) { return (numbers + in_one - 1) / in_one; }
constexpr Index smaller(Index a, Index b) { return a < b ? a : b; }
constexpr Index larger(Index a, Index b) { return a > b ? a : b; }
constexpr Index bytes(Index floats) { return floats * static_cast<Index>(sizeof(float)); }

// A constant, since GCC 12 takes the instruction that reads it to read but eight bytes, and might not write the others.
struct TileSizes {
  std::uint8_t palette = 1, start = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {line, line, line, line, line, line, line, line};
  std::uint8_t rows[16] = {tile, tile, tile, tile, tile, tile, tile, tile};
};
alignas(line) constexpr TileSizes full_tiles{};

// Eight tiles of full size, as long as this lives: Linux saves them at every switch of threads until then.
struct Unit {
  Unit() { _tile_loadconfig(&full_tiles); }
  Unit(const Unit&) = delete;
  ~Unit() { _tile_release(); }
};

// What was written before is in memory before tiles are loaded, of which GCC 12 does not know that they read it.
inline void is_written() { asm volatile("" ::: "memory"); }

inline __mmask16 first(Index count) {
  return static_cast<__mmask16>(count >= tile ? 0xffff : count <= 0 ? 0 : (1U << count) - 1);
}

// The larger parts of numbers: rounded to bfloat16, and still in float32. What is no number stays none.
inline __m512 larger_part(__m512 x) {
  const __m512i half = _mm512_set1_epi32(0x8000), kept = _mm512_set1_epi32(static_cast<int>(0xffff0000U)),
                bits = _mm512_castps_si512(x);
  const __mmask16 are_numbers = _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);
  return _mm512_castsi512_ps(_mm512_and_si512(_mm512_mask_add_epi32(bits, are_numbers, bits, half), kept));
}

// The larger parts of thirty-two numbers, or where `paired` of sixteen and sixteen in turn, to `to`, and the smaller
// ones so many behind.
template <bool paired>
inline void split(__m512 low, __m512 high, Bfloat* to, Index behind = tile_size) {
  // Of the sixteen-bit halves of both, numbered from 0 in `low` and from 32 in `high`, the upper ones.
  const __m512i first_low = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33,
                                             31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1),
                in_turn = _mm512_set_epi16(63, 31, 61, 29, 59, 27, 57, 25, 55, 23, 53, 21, 51, 19, 49, 17, 47,
                                           15, 45, 13, 43, 11, 41, 9, 39, 7, 37, 5, 35, 3, 33, 1);
  const auto put = [&](__m512 a, __m512 b, Bfloat* where) {
    _mm512_storeu_si512(where, _mm512_permutex2var_epi16(_mm512_castps_si512(a), paired ? in_turn : first_low,
                                                         _mm512_castps_si512(b)));
  };
  const __m512 larger_low = larger_part(low), larger_high = larger_part(high);
  put(larger_low, larger_high, to);
  put(larger_part(_mm512_sub_ps(low, larger_low)), larger_part(_mm512_sub_ps(high, larger_high)),
      to + behind);
}

// Sixteen by sixteen numbers of four bytes each, rows to columns.
inline void transpose(void* numbers) {
  char* const at = static_cast<char*>(numbers);
  __m512i rows[tile], turned[tile];
  for (int i = 0; i < tile; ++i) rows[i] = _mm512_loadu_si512(at + i * line);
  for (int i = 0; i < tile; i += 4) {
    const __m512i a = _mm512_unpacklo_epi32(rows[i], rows[i + 1]),
                  b = _mm512_unpackhi_epi32(rows[i], rows[i + 1]),
                  c = _mm512_unpacklo_epi32(rows[i + 2], rows[i + 3]),
                  d = _mm512_unpackhi_epi32(rows[i + 2], rows[i + 3]);
    turned[i] = _mm512_unpacklo_epi64(a, c);
    turned[i + 1] = _mm512_unpackhi_epi64(a, c);
    turned[i + 2] = _mm512_unpacklo_epi64(b, d);
    turned[i + 3] = _mm512_unpackhi_epi64(b, d);
  }
  // Now the quarter q of turned[4g + r] is column 4q + r of the rows 4g … 4g + 3.
  constexpr int even = 0x88, odd = 0xdd;
  for (int r = 0; r < 4; ++r) {
    const __m512i a = _mm512_shuffle_i32x4(turned[r], turned[4 + r], even),
                  b = _mm512_shuffle_i32x4(turned[r], turned[4 + r], odd),
                  c = _mm512_shuffle_i32x4(turned[8 + r], turned[12 + r], even),
                  d = _mm512_shuffle_i32x4(turned[8 + r], turned[12 + r], odd);
    _mm512_storeu_si512(at + r * line, _mm512_shuffle_i32x4(a, c, even));
    _mm512_storeu_si512(at + (4 + r) * line, _mm512_shuffle_i32x4(b, d, even));
    _mm512_storeu_si512(at + (8 + r) * line, _mm512_shuffle_i32x4(a, c, odd));
    _mm512_storeu_si512(at + (12 + r) * line, _mm512_shuffle_i32x4(b, d, odd));
  }
}

enum class Side { left, right };

// The two tiles of `count` rows (or columns, of the right factor) by `deep` of k, filled up with zeros. `step` numbers
// lie from one row to the next, `k_step` from one k to the next; one of them is 1.
template <Side side>
inline void pack_tile(const float* from, Index step, Index k_step, Index count, Index deep, Bfloat* to) {
  const bool along_k = k_step == 1;
  if (along_k) {
    const __mmask16 low = first(deep), high = first(deep - tile);
    for (Index i = 0; i < tile; ++i, from += step)
      split<false>(_mm512_maskz_loadu_ps(i < count ? low : 0, from),
                   _mm512_maskz_loadu_ps(i < count ? high : 0, from + tile), to + i * depth);
  } else {
    const __mmask16 across = first(count);
    for (Index k = 0; k < depth; k += 2, from += 2 * k_step)
      split<true>(_mm512_maskz_loadu_ps(k < deep ? across : 0, from),
                  _mm512_maskz_loadu_ps(k + 1 < deep ? across : 0, from + k_step), to + k * tile);
  }
  if (along_k == (side == Side::left)) return;
  transpose(to);
  transpose(to + tile_size);
}

}  // namespace
}  // namespace model::kernels
