// scene: a moment of play with everything where a test wants it.
#pragma once

#include "stages/pong/simulator.h"

namespace tests {

/// The paddles' lower edges and the ball's lower left corner, in court units.
inline pong::State scene(float left_y, float right_y, float ball_x, float ball_y) {
  pong::State state;
  state.left_paddle_y = left_y;
  state.right_paddle_y = right_y;
  state.ball_x = ball_x;
  state.ball_y = ball_y;
  return state;
}

}  // namespace tests
