// ab2_denoiser: dreams the next frame of every player, by steps of Adams and Bashforth from noise.
//
//   z ← z + h (v_i + h/(2 h') (v_i - v_{i-1}))       h = t_i - t_{i+1},  h' = t_{i-1} - t_i,  v_i = v(z, t_i)
//
// Second order for one evaluation a step: the velocity of the step before says how it changes. The first step, which
// has none before it, is Euler's.
//
// Source: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, III.1 and III.5 (uneven steps)
#include "graph/stage.h"
#include "stages/play/dreamer.h"
#include "stages/play/solvers.h"

namespace stages {
namespace {

const bool registered =
    declare_denoiser(
        graph::Stage<Denoiser<ab2>>("ab2_denoiser")
            .summary("dream the next frame by Adams-Bashforth steps from noise, which look back at "
                     "the one before; 1 evaluation a step"))
        .add();

}  // namespace
}  // namespace stages
