// midpoint_denoiser: dreams the next frame of every player, by midpoint steps from noise.
//
//   m = z + h/2 v(z, t_i)                            h = t_i - t_{i+1}
//   z ← z + h v(m, t_i - h/2)
//
// Second order; two evaluations a step. The last one is half-way to t = 0, so what commit last_step keeps is half as
// noisy as with the other solvers.
//
// Source: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, II.1 (Runge's method)
#include "graph/stage.h"
#include "stages/play/dreamer.h"
#include "stages/play/solvers.h"

namespace stages {
namespace {

const bool registered =
    declare_denoiser(graph::Stage<Denoiser<midpoint>>("midpoint_denoiser")
                         .summary("dream the next frame by midpoint steps from noise; 2 evaluations a step"))
        .add();

}  // namespace
}  // namespace stages
