// episode: a fixed number of frames of play, the unit of data: episode k is f(seed, k).
//
// An episode does not end with a round or a match, and begins anywhere in one: the policy plays a random
// number of frames before the first that is kept.
#pragma once

#include <cstdint>
#include <vector>

#include "stages/pong/policy.h"
#include "stages/pong/renderer.h"
#include "stages/pong/simulator.h"

namespace pong {

// A game in progress and who plays it. A value.
struct Play {
  Simulator simulator;
  Policy policy;
};

// Episode k's first frame: 0 to 511 frames into a match, to begin at a first serve rarely.
Play start_of_episode(std::uint64_t seed, std::uint64_t k);

inline constexpr int frames_before_hit = 5, frames_behind_hit = 2, first_hit_frames = 3;

// Likewise, of other episodes, with the ball put so near one paddle, either as often, that it is hit in one of the
// first_hit_frames frames that have frames_before_hit before them, and with frames_behind_hit behind it. The other paddle
// hits it next, where the length has room for that: both within 32 frames. The ball's vertical speed is any whole one up
// to play's fastest, the smaller the likelier: in usual play few balls are steep. The policy is Policy::at_random: in
// usual play most hits give no spin, and the actions beside a hit are often its own, so that they pass for what gives it.
// Throws std::invalid_argument if the length leaves no room for that.
Play start_before_hit(std::uint64_t seed, std::uint64_t k, int length);

struct EpisodeParams {
  int length = 128;  // frames, at least 1
  ImageSize size;
  Rendering rendering = Rendering::area;
  bool shows_hit = false;  // played from start_before_hit() on, otherwise from start_of_episode()
};

// actions[i] and rewards[i] belong to the step from frame i to frame i + 1, so that frame i answers to
// actions[i - 1]. The last step leads to a frame that is no longer part of the episode: as many actions as
// frames, so that episodes can be laid end to end in a dataset's arrays.
struct Episode {
  std::vector<std::uint8_t> frames;  // [length, height, width, 3]
  std::vector<Action> actions;       // [length]
  std::vector<int> rewards;          // [length] +1: a point for the right paddle, -1: for the left, else 0
};

// The same bytes for the same arguments; a longer episode begins with the shorter one, where none has to show a hit.
// Throws std::invalid_argument if length or size is below 1, and as start_before_hit().
Episode make_episode(std::uint64_t seed, std::uint64_t k, const EpisodeParams& params);

}  // namespace pong
