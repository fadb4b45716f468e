// random: numbers that are f(seed, position), the same on every machine and standard library.
//
// Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64)
#pragma once

#include <cstdint>

namespace pong {

// SplitMix64's finaliser: a bijection of 64 bits in which every input bit moves every output bit.
constexpr std::uint64_t scramble(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9ULL;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebULL;
  return bits ^ (bits >> 31);
}

// SplitMix64's increment, the odd integer nearest to 2^64 / golden ratio.
inline constexpr std::uint64_t golden_step = 0x9e3779b97f4a7c15ULL;

// The number at position `index` of the sequence `seed`. Under one seed no two indices share a number; both
// arguments are scrambled, so seeds 0, 1, 2 … are as unrelated as any.
constexpr std::uint64_t mix(std::uint64_t seed, std::uint64_t index) {
  return scramble(scramble(seed + golden_step) + (index + 1) * golden_step);
}

// The sequence `seed` from position 0 on. A copy continues with the same numbers as the original.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : seed_(seed) {}

  // An integer in [0, count), 0 < count < 2^32; uniform to within count / 2^32.
  constexpr int below(int count) {
    return static_cast<int>((bits() >> 32) * static_cast<std::uint64_t>(count) >> 32);
  }

  // A number in [low, high), in steps of (high - low) / 2^24.
  constexpr float between(float low, float high) {
    return low + (high - low) * static_cast<float>(bits() >> 40) * 0x1p-24f;
  }

 private:
  constexpr std::uint64_t bits() { return mix(seed_, index_++); }

  std::uint64_t seed_;
  std::uint64_t index_ = 0;
};

}  // namespace pong
