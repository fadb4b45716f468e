// players: keeps what every player presses, and says it at each tick.
//
// A key that is held comes once; it counts until the next one. A player who has pressed nothing stays (1): the
// action 0 would ask the network to go on without one.
#include <torch/types.h>

#include "graph/stage.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Players {
  Turn operator()(const Tick&, const std::vector<Action>& actions) {
    if (!actions.empty()) held = actions.back().action;
    return {torch::full({1}, held, torch::kLong)};
  }

  std::int64_t held = 1;
};

const bool registered = graph::Stage<Players>("players")
                            .summary("keep what every player presses")
                            .in("tick", "time for the next frame")
                            .in("actions", "presses since the last tick")
                            .out("turn", "action [S] of every player in this frame")
                            .add();

}  // namespace
}  // namespace stages
