// heun_denoiser: dreams the next frame of every player, by Heun steps from noise.
//
//   e = z + h v(z, t_i)                              h = t_i - t_{i+1}
//   z ← z + h/2 (v(z, t_i) + v(e, t_{i+1}))
//
// Second order; two evaluations a step. The last step, to t = 0, is Euler's (z ← e), as in EDM: there a network that
// predicts data has no velocity.
//
// Source: Karras et al. 2022 arXiv:2206.00364
#include "graph/stage.h"
#include "stages/play/dreamer.h"
#include "stages/play/solvers.h"

namespace stages {
namespace {

const bool registered =
    declare_denoiser(
        graph::Stage<Denoiser<heun>>("heun_denoiser")
            .summary("dream the next frame by Heun steps from noise; 2 evaluations a step, 1 in the last"))
        .add();

}  // namespace
}  // namespace stages
