// random: mixing of seed, number and purpose.
#include "stages/random.h"

#include <torch/types.h>

#include "stages/pong/random.h"

namespace stages {

at::Generator generator(std::uint64_t seed, std::uint64_t number, std::string_view purpose) {
  // FNV-1a, so that the draw is the same with every standard library.
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : purpose) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return at::make_generator<at::CPUGeneratorImpl>(pong::mix(pong::mix(seed, number), hash));
}

}  // namespace stages
