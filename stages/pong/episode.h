// episode: a fixed number of frames of play, the unit of data: episode k is f(seed, k), in each manner.
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

// What an episode shows more of than usual play.
enum class Manner : std::uint8_t {
  usual,
  scattered,  // begins with the ball anywhere, at any speed that it can have: steep balls take long rallies otherwise
  daring,  // the ball is taken by the paddle's edge: hits and misses that are nearly the other
};

// Episode k's first frame: 0 to 511 frames into a match, to begin at a first serve rarely.
Play start_of_episode(std::uint64_t seed, std::uint64_t k, Manner manner = Manner::usual);

struct EpisodeParams {
  int length = 128;  // frames, at least 1
  ImageSize size;
  Rendering rendering = Rendering::area;
  Manner manner = Manner::usual;
};

// actions[i] and rewards[i] belong to the step from frame i to frame i + 1, so that frame i answers to
// actions[i - 1]. The last step leads to a frame that is no longer part of the episode: as many actions as
// frames, so that episodes can be laid end to end in a dataset's arrays.
struct Episode {
  std::vector<std::uint8_t> frames;  // [length, height, width, 3]
  std::vector<Action> actions;       // [length]
  std::vector<int> rewards;          // [length] +1: a point for the right paddle, -1: for the left, else 0
};

// The same bytes for the same arguments; a longer episode begins with the shorter one.
// Throws std::invalid_argument if length or size is below 1.
Episode make_episode(std::uint64_t seed, std::uint64_t k, const EpisodeParams& params);

}  // namespace pong
