// drop_actions: hide the action of some frames, so that the network also learns to go on without one.
//
// Each frame's action becomes 0 (none) on its own with the given probability. What was learned this way is the
// unconditional branch of guidance.
//
// Source: Ho & Salimans 2022 arXiv:2207.12598
#include <torch/types.h>

#include "graph/stage.h"
#include "stages/random.h"
#include "stages/types.h"

namespace stages {
namespace {

struct DropActions {
  struct Params {
    double probability = 0.1;
    std::uint64_t seed = 0;
  };

  Patches operator()(const Patches& patches, const graph::Context& context) const {
    const auto random = generator(params.seed, context.number, "drop_actions");
    const auto hidden = torch::rand(patches.action.sizes(), random) < params.probability;
    auto out = patches;
    out.action = patches.action.masked_fill(hidden, 0);
    return out;
  }

  Params params;
};

using P = DropActions::Params;
const bool registered =
    graph::Stage<DropActions>("drop_actions")
        .summary("hide the action of some frames")
        .in("patches", "x [B,T,P,D], action [B,T]")
        .out("given", "x unchanged, action 0 where it was hidden")
        .param("probability", &P::probability, "share of frames without an action", graph::between(0, 1))
        .shared("seed", &P::seed, "same seed, same frames hidden")
        .add();

}  // namespace
}  // namespace stages
