// schedule: noise levels of a sampler's steps, and learning rates over a run.
#include "stages/model/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace model {

std::vector<double> shifted_linear(int steps, double shift) {
  if (steps < 1)
    throw std::invalid_argument("shifted_linear: steps is " + std::to_string(steps) + ", expected 1 or more");
  if (!(shift > 0))
    throw std::invalid_argument("shifted_linear: shift is " + std::to_string(shift) + ", expected above 0");
  std::vector<double> levels;
  for (int i = 0; i <= steps; ++i) {
    const double u = 1.0 - static_cast<double>(i) / steps;
    levels.push_back(shift * u / (1.0 + (shift - 1.0) * u));
  }
  return levels;
}

double cosine_with_warmup(double position, double warmup, double end) {
  if (position < warmup) return position / warmup;
  if (position >= end) return 0;
  return 0.5 * (1.0 + std::cos(std::numbers::pi * (position - warmup) / (end - warmup)));
}

}  // namespace model
