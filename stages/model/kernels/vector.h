// vector: eight floats at a time, in the compiler's own vector types, so that no instruction set is named.
//
// Whoever includes this is compiled for AVX2, and calls no inline function or template of others: not oneTBB's, and of
// the standard library what is C's alone. Of such a function the linker keeps one copy for the whole program; were it
// the one from here, a processor without AVX2 would die of it anywhere. So here are small ones of our own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && !defined(__AVX2__)
#error "vector.h is for files that kernels/CMakeLists.txt compiles for AVX2"
#endif

namespace model::kernels {

using Index = std::int64_t;

// Loads and stores need no alignment beyond a float's.
typedef float Floats __attribute__((vector_size(32), aligned(4), may_alias));
typedef std::uint32_t Bits __attribute__((vector_size(32)));
constexpr Index lanes = 8;

inline Floats load(const float* from) { return *reinterpret_cast<const Floats*>(from); }
inline void store(float* to, Floats x) { *reinterpret_cast<Floats*>(to) = x; }
inline Floats all(float x) { return Floats{x, x, x, x, x, x, x, x}; }

inline float sum(Floats x) { return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7])); }

inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }
inline Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
inline Index larger(Index a, Index b) { return a > b ? a : b; }
inline Index smaller(Index a, Index b) { return a < b ? a : b; }

// Both return where the next number goes.
inline float* zero(float* to, Index count) {
  std::memset(to, 0, static_cast<std::size_t>(count) * sizeof(float));
  return to + count;
}
inline float* copy(const float* from, Index count, float* to) {
  std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(float));
  return to + count;
}

inline float largest(Floats x) {
  float most = x[0];
  for (Index i = 1; i < lanes; ++i) most = x[i] > most ? x[i] : most;
  return most;
}

// e^x to about 2e-7 of its size; x is cut to [-87, 88], where floats end. x = n ln 2 + r, |r| <= ln 2 / 2, e^r by
// its series as fitted in Cephes' expf (netlib.org/cephes).
inline Floats exp(Floats x) {
  x = smaller(all(88), larger(all(-87), x));  // in this order what is no number stays none
  // Adding 1.5·2^23 leaves the nearest integer in the low bits.
  const Floats magic = all(12582912.0F), shifted = x * all(1.44269504F) + magic, n = shifted - magic;
  const Floats r = (x - n * all(0.693359375F)) + n * all(2.12194440e-4F);
  Floats y = all(1.9875691500e-4F);
  y = y * r + all(1.3981999507e-3F);
  y = y * r + all(8.3334519073e-3F);
  y = y * r + all(4.1665795894e-2F);
  y = y * r + all(1.6666665459e-1F);
  y = y * r + all(5.0000001201e-1F);
  y = y * (r * r) + r + all(1);
  Bits bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  const Bits power = (bits + 127) << 23;  // of the magic number nothing is left
  Floats scale;
  std::memcpy(&scale, &power, sizeof scale);
  return y * scale;
}

inline Floats sigmoid(Floats x) { return all(1) / (all(1) + exp(-x)); }

}  // namespace model::kernels
