// endurance: for how long games that are dreamed on their own stay games.
//
// A game has failed when one of these has lasted:
//
//   no ball             30 frames, a second
//   two balls or more    3 frames
//   a missing paddle     3 frames
//   strange colours      3 frames: more than a ball's area of pixels that are 64 shades or more from every mixture of
//                        background, ball and the paddle there (pong/finder.h)
//
// Three frames are a tenth of a second, which a player sees; less is a flicker, which one_ball counts. The frames
// before the first of them are how long it was stable. The simulator shows one ball and two paddles in every frame,
// also in the one in which a point is served.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "stages/eval/figures.h"
#include "stages/pong/finder.h"

namespace stages {

/// Keeps counters, no frames.
class Endurance {
 public:
  explicit Endurance(const pong::Finder& finder) : finder_(finder) {}

  /// The next frame of a game, uint8 [H,W,3]. One that has failed is not looked at any more.
  void add(std::int64_t game, std::span<const std::uint8_t> frame);

  /// Whether the median is known, whatever the games that have not failed do from here on.
  bool is_decided() const;

  /// Of all games' stable frames the median.
  Figures figure() const;

  /// How each game ended: "whole after 500, two balls after 80".
  std::string summary() const;

 private:
  static constexpr std::size_t faults = 4;

  struct Game {
    std::int64_t frames = 0;                   // that were looked at
    std::array<std::int64_t, faults> lasts{};  // frames up to now
    int fault = -1;                            // that it failed by

    // It stays so when the game has failed; else it can only grow.
    std::int64_t stable() const;
  };

  pong::Finder finder_;
  std::map<std::int64_t, Game> games_;
};

}  // namespace stages
