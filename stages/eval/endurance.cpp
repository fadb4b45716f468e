// endurance: faults and how long they have lasted.
#include "stages/eval/endurance.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "graph/error.h"

namespace stages {
namespace {

struct Fault {
  const char* name;
  std::int64_t patience;  // frames
};
constexpr std::array fault_kinds{Fault{"no ball", 30}, Fault{"two balls", 3}, Fault{"a missing paddle", 3},
                                 Fault{"strange colours", 3}};

}  // namespace

std::int64_t Endurance::Game::stable() const {
  if (fault >= 0) return frames - lasts[static_cast<std::size_t>(fault)];
  return frames - *std::ranges::max_element(lasts);
}

void Endurance::add(std::int64_t number, std::span<const std::uint8_t> frame) {
  static_assert(fault_kinds.size() == faults);
  auto& game = games_[number];
  if (game.fault >= 0) return;
  const auto sight = finder_.look(frame);
  const std::array<bool, faults> shows{sight.balls == 0, sight.balls > 1,
                                       !sight.left_paddle || !sight.right_paddle,
                                       sight.strange > finder_.ball_area()};
  ++game.frames;
  for (std::size_t i = 0; i < faults; ++i) {
    game.lasts[i] = shows[i] ? game.lasts[i] + 1 : 0;
    // Of faults that are due in the same frame, the one that began first.
    if (game.lasts[i] >= fault_kinds[i].patience &&
        (game.fault < 0 || game.lasts[i] > game.lasts[static_cast<std::size_t>(game.fault)]))
      game.fault = static_cast<int>(i);
  }
}

// The median lies between the middle two: both must be of games that have failed, and no other may still come to lie
// below the upper one.
bool Endurance::is_decided() const {
  std::vector<std::int64_t> failed;
  std::int64_t least_open = INT64_MAX;
  for (const auto& [number, game] : games_) {
    if (game.fault >= 0)
      failed.push_back(game.stable());
    else
      least_open = std::min(least_open, game.stable());
  }
  const auto middle = games_.size() / 2;
  if (failed.size() <= middle) return false;
  std::ranges::sort(failed);
  return failed[middle] <= least_open;
}

Figures Endurance::figure() const {
  std::vector<double> stable;
  for (const auto& [number, game] : games_)
    stable.push_back(static_cast<double>(game.fault >= 0 ? game.stable() : game.frames));
  return median(std::move(stable));
}

std::string Endurance::summary() const {
  std::vector<std::string> parts;
  for (const auto& [number, game] : games_)
    parts.push_back(game.fault < 0 ? "whole after " + std::to_string(game.frames)
                                   : std::string(fault_kinds[static_cast<std::size_t>(game.fault)].name) +
                                         " after " + std::to_string(game.stable()));
  return graph::join(parts);
}

}  // namespace stages
