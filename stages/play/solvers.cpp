// solvers: the steps.
#include "stages/play/solvers.h"

#include <torch/types.h>

#include <cmath>

namespace stages {

at::Tensor euler(const Velocity& v, const Noise& noise, const std::vector<double>& levels) {
  auto z = noise();
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) z = z + (levels[i] - levels[i + 1]) * v(z, levels[i]);
  return z;
}

at::Tensor heun(const Velocity& v, const Noise& noise, const std::vector<double>& levels) {
  auto z = noise();
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    const auto next = levels[i + 1], h = levels[i] - next;
    const auto slope = v(z, levels[i]), end = z + h * slope;
    z = next > 0 ? z + h / 2 * (slope + v(end, next)) : end;
  }
  return z;
}

at::Tensor midpoint(const Velocity& v, const Noise& noise, const std::vector<double>& levels) {
  auto z = noise();
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    const auto h = levels[i] - levels[i + 1];
    const auto half = z + h / 2 * v(z, levels[i]);
    z = z + h * v(half, levels[i] - h / 2);
  }
  return z;
}

at::Tensor ab2(const Velocity& v, const Noise& noise, const std::vector<double>& levels) {
  auto z = noise();
  at::Tensor before;  // v at the level before
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    const auto h = levels[i] - levels[i + 1];
    const auto slope = v(z, levels[i]);
    z = z + h * slope;
    if (i > 0) z = z + h * h / (2 * (levels[i - 1] - levels[i])) * (slope - before);
    before = slope;
  }
  return z;
}

at::Tensor dpmpp_2m(const Velocity& v, const Noise& noise, const std::vector<double>& levels) {
  const auto lambda = [](double t) { return std::log((1 - t) / t); };
  auto z = noise();
  at::Tensor before;  // x0 at the level before
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    const auto t = levels[i], next = levels[i + 1];
    const auto x0 = z + t * v(z, t);
    auto target = x0;
    // Only where all three λ are finite.
    if (i > 0 && levels[i - 1] < 1 && next > 0) {
      const auto ratio = (lambda(next) - lambda(t)) / (lambda(t) - lambda(levels[i - 1]));
      target = x0 + ratio / 2 * (x0 - before);
    }
    z = next / t * z + (1 - next / t) * target;
    before = x0;
  }
  return z;
}

at::Tensor stochastic_euler(const Velocity& v, const Noise& noise, const std::vector<double>& levels,
                            double fresh) {
  auto z = noise();
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    const auto t = levels[i], next = levels[i + 1];
    const auto slope = v(z, t), x0 = z + t * slope, old = z - (1 - t) * slope;
    z = (1 - next) * x0 + next * (std::sqrt(1 - fresh * fresh) * old + fresh * noise());
  }
  return z;
}

std::vector<double> evaluated_levels(const Solver& solve, const std::vector<double>& levels) {
  std::vector<double> all;
  const auto look = [&](const at::Tensor& z, double t) {
    all.push_back(t);
    return z;
  };
  solve(
      look, [] { return at::zeros({1}); }, levels);
  return all;
}

}  // namespace stages
