// schedule: noise levels of a sampler's steps, and learning rates over a run.
#pragma once

#include <vector>

namespace model {

// The levels of `steps` Euler steps from noise to data, steps+1 of them, 1 … 0:
//   u = 1 − i/steps,   t = shift·u / (1 + (shift−1)·u)
// A shift above 1 spends more steps near noise. Throws std::invalid_argument unless steps ≥ 1 and shift > 0.
// Source: Esser et al. 2024 arXiv:2403.03206 (the shift); toy-wm (the grid, shift 3)
std::vector<double> shifted_linear(int steps, double shift = 3);

// The share in [0,1] of the full learning rate at `position` of a run that ends at `end`: linear from 0 over
// the first `warmup`, then half a cosine to 0. The three are in any one unit: steps, or progress with end
// = 1. In steps this is the reference's, whose first step has rate 0.
double cosine_with_warmup(double position, double warmup, double end);

}  // namespace model
