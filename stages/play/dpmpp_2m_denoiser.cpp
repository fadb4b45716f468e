// dpmpp_2m_denoiser: dreams the next frame of every player, by DPM-Solver++ (2M) steps from noise.
//
//   x0_i = z + t_i v(z, t_i)                          the data, as the network sees it from here
//   x    = x0_i + h/(2 h') (x0_i - x0_{i-1})          h = λ_{i+1} - λ_i,  h' = λ_i - λ_{i-1}
//   z ← t_{i+1}/t_i z + (1 - t_{i+1}/t_i) x
//
// It is the paper's step with α = 1 - t, σ = t and λ = ln(α/σ), where α_{i+1} (1 - exp(-h)) = 1 - t_{i+1}/t_i. Second
// order for one evaluation a step. Where a λ is infinite, x = x0_i, which is Euler's step: in the last (t_{i+1} = 0) and
// in the first two, which need that of t = 1. So three steps are the same as euler_denoiser's.
//
// Source: Lu et al. 2022 arXiv:2211.01095
#include "graph/stage.h"
#include "stages/play/dreamer.h"
#include "stages/play/solvers.h"

namespace stages {
namespace {

const bool registered =
    declare_denoiser(
        graph::Stage<Denoiser<dpmpp_2m>>("dpmpp_2m_denoiser")
            .summary("dream the next frame by DPM-Solver++ (2M) steps from noise, which look back "
                     "at the one before; 1 evaluation a step"))
        .add();

}  // namespace
}  // namespace stages
