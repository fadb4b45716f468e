// stochastic_euler_denoiser: dreams the next frame of every player, by Euler steps that draw part of the noise anew.
//
//   x0 = z + t_i v,   e = z - (1 - t_i) v             the data and the noise of which z is mixed; v = v(z, t_i)
//   z ← (1 - t_{i+1}) x0 + t_{i+1} (√(1 - noise²) e + noise ε)                                     ε ~ N(0, 1)
//
// At noise 0 it is Euler's step, at 1 each step noises the data it sees afresh: what earlier steps got wrong in the noise
// is forgotten. Like EDM's churn, but the levels stay those of the grid. One evaluation a step.
//
// Sources: Song et al. 2021 arXiv:2010.02502 (the stochastic step, σ = noise·t) · Karras et al. 2022 arXiv:2206.00364
#include "graph/stage.h"
#include "stages/play/dreamer.h"
#include "stages/play/solvers.h"

namespace stages {
namespace {

struct StochasticEulerDenoiser {
  struct Params : DreamParams {
    double noise = 0.5;
  };

  void start(const graph::Context& context) { dreamer.start(params, context); }

  Patches operator()(const Turn& turn, const graph::Context& context) {
    const auto solve = [&](const Velocity& v, const Noise& noise, const std::vector<double>& levels) {
      return stochastic_euler(v, noise, levels, params.noise);
    };
    return dreamer.dream(params, turn, context, solve);
  }

  Params params;
  Dreamer dreamer;
};

const bool registered =
    declare_denoiser(
        graph::Stage<StochasticEulerDenoiser>("stochastic_euler_denoiser")
            .summary(
                "dream the next frame by Euler steps that draw part of the noise anew; 1 evaluation a step")
            .param("noise", &StochasticEulerDenoiser::Params::noise,
                   "how much of it is drawn anew at every step; 0 is Euler", graph::between(0, 1)))
        .add();

}  // namespace
}  // namespace stages
