// players: keeps what every player presses, and says it at each tick.
//
// A key that is held comes once; it counts until the next one. A press that is over before the tick counts for
// one frame. A player who has pressed nothing stays (1): the action 0 would ask the network to go on without
// one. While the game is paused, and while nobody plays, ticks end here.
#include <torch/types.h>

#include <map>
#include <optional>
#include <utility>

#include "graph/stage.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Players {
  struct Params {
    bool local = true;
  };
  struct Press {
    std::int64_t action = stay;
    std::int64_t act = 0, arrived_ns = 0;
  };
  struct Seat {
    Press held;
    std::uint64_t games = 0;
  };

  void start() {
    if (params.local) restarts[0] = -1;
  }

  std::optional<Turn> operator()(const Tick&, const std::vector<Action>& actions,
                                 const graph::Context& context) {
    std::map<std::int64_t, Press> tapped;
    for (const auto& each : actions) {
      if (each.kind == Action::Kind::pause) paused = !paused;
      if (each.kind == Action::Kind::restart) {
        restarts[each.session] = each.game;
        if (each.session == 0) paused = false;
      }
      if (each.kind == Action::Kind::leave) {
        seats.erase(each.session);
        restarts.erase(each.session);
        tapped.erase(each.session);
      }
      const bool known = seats.contains(each.session) || restarts.contains(each.session);
      if (each.kind != Action::Kind::act || !known) continue;
      auto& held = seats[each.session].held;
      held = {each.action, each.act, each.arrived_ns};
      if (each.action != stay) tapped[each.session] = held;
    }
    if (paused) return std::nullopt;
    Turn turn{.number = context.number};
    for (const auto& [session, game] : restarts) {
      auto& seat = seats[session];
      const auto next = seat.games++;
      turn.starts.push_back({.session = session, .game = game < 0 ? next : static_cast<std::uint64_t>(game)});
    }
    restarts.clear();
    // Once more when the last one has left, so that everybody learns of it.
    if (seats.empty() && !std::exchange(played, false)) return std::nullopt;
    played = !seats.empty();
    std::vector<std::int64_t> action;
    for (const auto& [session, seat] : seats) {
      const auto tap = tapped.find(session);
      const auto& press = tap == tapped.end() ? seat.held : tap->second;
      action.push_back(press.action);
      turn.players.push_back({session, press.act, press.arrived_ns});
    }
    turn.action = torch::tensor(action, torch::kLong);
    return turn;
  }

  static constexpr std::int64_t stay = 1;
  Params params;
  std::map<std::int64_t, Seat> seats;
  std::map<std::int64_t, std::int64_t> restarts;  // games to begin with the next frame, by session
  bool paused = false, played = false;
};

const bool registered =
    graph::Stage<Players>("players")
        .summary("keep what every player presses")
        .in("tick", "time for the next frame")
        .in("actions", "presses since the last tick")
        .out("turn", "action [S] of every player in this frame, and whose game begins")
        .shared("local", &Players::Params::local, "whether somebody plays at this machine, as session 0")
        .add();

}  // namespace
}  // namespace stages
