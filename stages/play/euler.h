// euler: from noise to a frame by Euler steps.
//
//   z += (t_i - t_{i+1}) v(z, t_i)   for the levels 1 = t_0 > … > t_steps = 0
//
// Source: Liu et al. 2022 arXiv:2209.03003
#pragma once

#include <vector>

#include "stages/play/dreamer.h"

namespace stages {

/// A Dreamer::Solver.
at::Tensor euler(const Dreamer::Velocity& v, at::Tensor z, const std::vector<double>& levels);

}  // namespace stages
