// simulator: the rules of one tick.
#include "stages/pong/simulator.h"

#include <algorithm>
#include <cmath>

#include "stages/pong/random.h"

namespace pong {
namespace {

float direction(Action action) { return action == Action::up ? 1.0f : action == Action::down ? -1.0f : 0.0f; }

float clamp_paddle(float y) { return std::clamp(y, Court::paddle_min_y, Court::paddle_max_y); }

// Edges that only touch are a miss.
bool meets(float paddle_y, float ball_y) {
  return ball_y + Court::ball_height > paddle_y && ball_y < paddle_y + Court::paddle_height;
}

}  // namespace

Simulator::Simulator(std::uint64_t seed) : seed_(seed) { serve(); }

void Simulator::serve() {
  state.left_paddle_y = state.right_paddle_y = (Court::height - Court::paddle_height) / 2;
  state.ball_x = Court::width / 5;
  state.ball_y = (Court::height - Court::ball_height) / 2;
  state.ball_vx = Court::ball_speed_x;
  state.ball_vy = mix(seed_, serves_++) % 2 == 0 ? -Court::serve_speed_y : 0.0f;
}

StepResult Simulator::step(Action action) {
  StepResult result;
  for (int i = 0; i < Court::ticks_per_frame && result.reward == 0; ++i) tick(action, result);
  if (result.reward == 0) return result;

  int& score = result.reward > 0 ? state.right_score : state.left_score;
  if (++score == Court::match_points) {
    result.match_end = true;
    state.left_score = state.right_score = 0;
  }
  serve();
  return result;
}

void Simulator::tick(Action action, StepResult& result) {
  State& s = state;
  s.right_paddle_y = clamp_paddle(s.right_paddle_y + direction(action) * Court::paddle_speed);
  const float gap = s.ball_y - (s.left_paddle_y + Court::paddle_height / 2);
  s.left_paddle_y =
      clamp_paddle(s.left_paddle_y + std::clamp(gap, -Court::paddle_speed, Court::paddle_speed));

  s.ball_x += s.ball_vx;
  s.ball_y += s.ball_vy;
  if (s.ball_y < 0 || s.ball_y + Court::ball_height > Court::height) {
    s.ball_vy = -s.ball_vy;
    result.wall_bounce = true;
  }

  if (s.ball_x < 0) {
    if (!meets(s.left_paddle_y, s.ball_y)) {
      result.reward = 1;
      return;
    }
    s.ball_vx = -s.ball_vx;
    result.left_hit = true;
  }

  if (s.ball_x + Court::ball_width > Court::width) {
    if (!meets(s.right_paddle_y, s.ball_y)) {
      result.reward = -1;
      return;
    }
    s.ball_vx = -s.ball_vx;
    result.right_hit = true;
    s.ball_vy = std::clamp(s.ball_vy + Court::spin * direction(action), -Court::ball_max_speed_y,
                           Court::ball_max_speed_y);
    if (std::abs(s.ball_vy) < Court::ball_min_speed_y) s.ball_vy = Court::spin;
    s.ball_x = std::clamp(s.ball_x, 0.0f, Court::width - Court::ball_width);
    s.ball_y = std::clamp(s.ball_y, 0.0f, Court::height - Court::ball_height);
  }
}

}  // namespace pong
