// policy: plays the right paddle for data, mixing behaviours so that every action is seen in every situation.
//
//   track  keep the paddle's middle at an offset from the ball's, drawn anew each time; it may exceed the
//          paddle's reach, so some balls are missed, and hits come on all parts of the paddle
//   hold   press up or down, whatever the ball does
//   idle   press nothing
//
// Each lasts for a random number of frames. The last two matter to a world model: where the frame alone decides the
// action, as in perfect play, nothing in the data tells what the action does.
#pragma once

#include <cstdint>

#include "stages/pong/random.h"
#include "stages/pong/simulator.h"

namespace pong {

enum class Behaviour : std::uint8_t { track, hold, idle, chance };

// A value: a copy acts alike on the same states. The actions are f(seed, states seen).
class Policy {
 public:
  explicit Policy(std::uint64_t seed);

  // Not the mixture: presses up, down or nothing, whatever the frame shows, and never the same in two frames one behind
  // the other, so that an action does not pass for the one beside it.
  static Policy at_random(std::uint64_t seed);

  // The action for the next frame, to be called once a frame.
  Action act(const State& state);

  // What the last action came from.
  Behaviour behaviour() const { return behaviour_; }

 private:
  void switch_behaviour();

  Random random_;
  Behaviour behaviour_ = Behaviour::idle;
  int frames_left_ = 0;
  float offset_ = 0;            // court units, of `track`
  Action held_ = Action::stay;  // of `hold` and `idle`; of `chance` the last
};

}  // namespace pong
