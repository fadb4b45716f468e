// euler_denoiser: dreams the next frame of every player, by Euler steps from noise.
//
//   z ~ N(0, 1) at t = 1, then the steps of stages/play/euler.h
#include "graph/stage.h"
#include "stages/play/dreamer.h"
#include "stages/play/euler.h"
#include "stages/types.h"

namespace stages {
namespace {

struct EulerDenoiser {
  using Params = DreamParams;

  void start(const graph::Context& context) { dreamer.start(params, context); }

  Patches operator()(const Turn& turn, const graph::Context& context) {
    return dreamer.dream(params, turn, context, euler);
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
