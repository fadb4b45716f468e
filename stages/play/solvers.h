// solvers: ways from noise to a frame, down the grid of levels 1 = t_0 > … > t_n = 0 along dz/dt = -v(z, t).
//
// Formulas and sources stand at the stages, NAME_denoiser.cpp. What n steps cost:
//
//                      order   evaluations
//   euler                1       n
//   heun                 2       2n - 1
//   midpoint             2       2n
//   ab2                  2       n
//   dpmpp_2m             2       n
//   stochastic_euler     1       n
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace stages {

/// v(z, t) of all players: z [S,P,D], t in [0,1] → [S,P,D]. Each call is an evaluation of the network.
using Velocity = std::function<at::Tensor(const at::Tensor& z, double t)>;
/// New z ~ N(0, 1) of all players, [S,P,D], at each call.
using Noise = std::function<at::Tensor()>;
/// From noise at levels.front() to a frame [S,P,D] at levels.back(). Where it evaluates follows from the levels alone.
using Solver =
    std::function<at::Tensor(const Velocity& v, const Noise& noise, const std::vector<double>& levels)>;

at::Tensor euler(const Velocity& v, const Noise& noise, const std::vector<double>& levels);
at::Tensor heun(const Velocity& v, const Noise& noise, const std::vector<double>& levels);
at::Tensor midpoint(const Velocity& v, const Noise& noise, const std::vector<double>& levels);
at::Tensor ab2(const Velocity& v, const Noise& noise, const std::vector<double>& levels);
at::Tensor dpmpp_2m(const Velocity& v, const Noise& noise, const std::vector<double>& levels);

/// `fresh` in [0,1] of the noise is drawn anew at every step; at 0 it is euler.
at::Tensor stochastic_euler(const Velocity& v, const Noise& noise, const std::vector<double>& levels,
                            double fresh);

/// The levels at which a solver evaluates, in order: as many as a frame takes evaluations, but for the one more that
/// the commits clean and renoised make.
std::vector<double> evaluated_levels(const Solver& solve, const std::vector<double>& levels);

}  // namespace stages
