// euler_denoiser: dreams the next frame of every player, by Euler steps from noise.
//
//   z ← z + (t_i - t_{i+1}) v(z, t_i)
//
// First order; one evaluation a step.
//
// Source: Liu et al. 2022 arXiv:2209.03003
#include "graph/stage.h"
#include "stages/play/dreamer.h"
#include "stages/play/solvers.h"

namespace stages {
namespace {

const bool registered =
    declare_denoiser(graph::Stage<Denoiser<euler>>("euler_denoiser")
                         .summary("dream the next frame by Euler steps from noise; 1 evaluation a step"))
        .add();

}  // namespace
}  // namespace stages
