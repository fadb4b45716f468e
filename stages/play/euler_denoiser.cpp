// euler_denoiser: dreams the next frame of every player, by Euler steps from noise.
//
//   z ~ N(0, 1) at t = 1;   z += (t_i - t_{i+1}) v(z, t_i)   for the levels 1 = t_0 > … > t_steps = 0
//
// Source: Liu et al. 2022 arXiv:2209.03003
#include <torch/types.h>

#include "graph/stage.h"
#include "stages/play/dreamer.h"
#include "stages/types.h"

namespace stages {
namespace {

struct EulerDenoiser {
  using Params = DreamParams;

  void start(const graph::Context& context) { dreamer.start(params, context); }

  Patches operator()(const Turn& turn, const graph::Context& context) {
    return dreamer.dream(params, turn, context, euler);
  }

  static at::Tensor euler(const Dreamer::Velocity& v, at::Tensor z, const std::vector<double>& levels) {
    for (std::size_t i = 0; i + 1 < levels.size(); ++i) z = z + (levels[i] - levels[i + 1]) * v(z, levels[i]);
    return z;
  }

  Params params;
  Dreamer dreamer;
};

const bool registered = [] {
  graph::Stage<EulerDenoiser> stage("euler_denoiser");
  stage.summary("dream the next frame by Euler steps from noise")
      .in("turn", "action [S] of every player, and whose game begins")
      .out("patches", "x [S,1,P,D] in about [-1,1], action [S,1]");
  return declare_dream_params(stage).add();
}();

}  // namespace
}  // namespace stages
