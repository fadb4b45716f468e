// simulator: Pong by PufferLib's rules, one frame (two ticks of 1/60 s) at a time.
//
// Lengths are in court units, speeds in court units per tick. The origin is the court's lower left corner, x
// grows to the right and y grows UPWARDS: `up` raises a paddle's y and moves it up in the picture (the
// renderer turns y round). The left paddle follows the ball by itself, the right one obeys the action.
// Everything but the serve's slope is deterministic, and that is f(seed, number of the serve).
//
// One tick, in this order:
//   paddles  right: +-8 or 0, left: towards the ball, at most 8; both may hang half out, no further
//   ball     moves by (vx, vy)
//   walls    beyond the floor or the ceiling: vy = -vy (the ball stays there, up to 13 units outside)
//   left     x < 0: vx = -vx if the paddle is there, else a point for the right
//   right    x + 32 > 500: vx = -vx, vy += 3 * (paddle's direction), |vy| <= 13, |vy| < 0.01 becomes vy = 3,
//            and the ball is moved back into the court, if the paddle is there, else a point for the left
// A point starts a new round in the same tick and ends the frame, which so shows both paddles in the middle
// and the ball where it is served. The 21st point of a side ends the match; the next starts at 0 : 0.
//
// Surprises, all PufferLib's own: the left paddle aims its middle at the ball's LOWER edge; a paddle pressed
// against its limit still gives the ball its spin, as the action counts, not the motion; a served ball may
// fly level.
//
// Source: PufferLib's Pong, github.com/PufferAI/PufferLib, pufferlib/ocean/pong/pong.h. Its reward of 0.1
// for a hit is left out.
#pragma once

#include <cstdint>

namespace pong {

// What the right paddle does. The values are those of a dataset's actions.npy.
enum class Action : std::uint8_t { stay = 0, up = 1, down = 2 };
inline constexpr int action_count = 3;

struct Court {
  static constexpr float width = 500, height = 640;
  static constexpr float paddle_width = 20, paddle_height = 70;
  static constexpr float ball_width = 32, ball_height = 32;
  static constexpr float paddle_speed = 8;
  static constexpr float ball_speed_x = 10;      // |vx|, always
  static constexpr float serve_speed_y = 1;      // a serve has vy = -1 or 0
  static constexpr float spin = 3;               // added to vy by a moving right paddle
  static constexpr float ball_max_speed_y = 13;  // of |vy| after a right hit
  static constexpr float ball_min_speed_y = 0.01f;
  static constexpr float paddle_min_y = -paddle_height / 2;
  static constexpr float paddle_max_y = height - paddle_height / 2;
  static constexpr int match_points = 21;
  static constexpr int ticks_per_frame = 2;
};

// All that can be seen, and the ball's velocity. Positions are lower left corners. The left paddle covers x
// in
// [-20, 0), the right one [500, 520).
struct State {
  float left_paddle_y = 0, right_paddle_y = 0;  // in [Court::paddle_min_y, Court::paddle_max_y]
  float ball_x = 0, ball_y = 0;
  float ball_vx = 0, ball_vy = 0;
  int left_score = 0, right_score = 0;  // in [0, 21): a finished match shows as 0 : 0

  bool operator==(const State&) const = default;
};

// What happened in one frame.
struct StepResult {
  bool wall_bounce = false;
  bool left_hit = false;
  bool right_hit = false;
  int reward = 0;          // +1: a point for the right paddle, -1: for the left, 0: none
  bool match_end = false;  // that point was its owner's 21st

  bool operator==(const StepResult&) const = default;
};

// A value: a copy has the same future, the serves included.
class Simulator {
 public:
  // A new match, about to be served.
  explicit Simulator(std::uint64_t seed);

  // One frame. Never fails.
  StepResult step(Action action);

  // May be set, to go on from another situation; it is not checked.
  State state;

 private:
  void serve();
  void tick(Action action, StepResult& result);

  std::uint64_t seed_;
  std::uint64_t serves_ = 0;
};

}  // namespace pong
