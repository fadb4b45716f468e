// players: keeps what every player presses, and says it at each tick.
//
// A key that is held comes once; it counts until the next one. A press that is over before the tick counts for
// one frame. A player who has pressed nothing stays (1): the action 0 would ask the network to go on without
// one. While the game is paused, ticks end here.
#include <torch/types.h>

#include <optional>

#include "graph/stage.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Players {
  std::optional<Turn> operator()(const Tick&, const std::vector<Action>& actions) {
    std::optional<std::int64_t> tapped;
    bool restart = games == 0;
    for (const auto& each : actions) {
      switch (each.kind) {
        case Action::Kind::act:
          held = each.action;
          if (held != stay) tapped = held;
          break;
        case Action::Kind::restart:
          restart = true;
          paused = false;
          break;
        case Action::Kind::pause:
          paused = !paused;
          break;
      }
    }
    if (paused) return std::nullopt;
    Turn turn{torch::full({1}, tapped.value_or(held), torch::kLong), {}};
    if (restart) turn.starts.push_back({.player = 0, .game = games++});
    return turn;
  }

  static constexpr std::int64_t stay = 1;
  std::int64_t held = stay;
  std::uint64_t games = 0;
  bool paused = false;
};

const bool registered = graph::Stage<Players>("players")
                            .summary("keep what every player presses")
                            .in("tick", "time for the next frame")
                            .in("actions", "presses since the last tick")
                            .out("turn", "action [S] of every player in this frame, and whose game begins")
                            .add();

}  // namespace
}  // namespace stages
