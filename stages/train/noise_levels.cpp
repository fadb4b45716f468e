// noise_levels: draws of noise levels, made of a generator's uniform, normal and gamma ones.
#include "stages/train/noise_levels.h"

#include <torch/types.h>

#include <numbers>

namespace stages {

at::Tensor LogitNormalLevels::draw(at::IntArrayRef sizes, at::Generator random) const {
  return torch::sigmoid(mean + std * torch::randn(sizes, random));
}

at::Tensor UniformLevels::draw(at::IntArrayRef sizes, at::Generator random) const {
  return low + (high - low) * torch::rand(sizes, random);
}

at::Tensor ModeLevels::draw(at::IntArrayRef sizes, at::Generator random) const {
  const auto u = torch::rand(sizes, random);
  const auto t = 1 - u - scale * (torch::cos(std::numbers::pi / 2 * u).square() - 1 + u);
  return t.clamp(0, 1);  // rounding may leave it by one part in ten million
}

at::Tensor CosmapLevels::draw(at::IntArrayRef sizes, at::Generator random) const {
  const auto angle = std::numbers::pi / 2 * torch::rand(sizes, random);
  const auto sine = torch::sin(angle);
  return sine / (sine + torch::cos(angle));
}

at::Tensor BetaLevels::draw(at::IntArrayRef sizes, at::Generator random) const {
  // In float64, since with a small shape both gamma draws may be too small for a float32.
  const auto drawn = [&](double shape) {
    return at::_standard_gamma(torch::full(sizes, shape, at::kDouble), random);
  };
  const auto a = drawn(alpha), b = drawn(beta);
  return (a / (a + b)).to(at::kFloat);
}

}  // namespace stages
