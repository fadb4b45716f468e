// policy: the mixture of behaviours, and chance.
#include "stages/pong/policy.h"

namespace pong {
namespace {

// Beyond this distance between the middles of ball and paddle a ball is missed.
constexpr float reach = (Court::paddle_height + Court::ball_height) / 2;
constexpr float max_offset = 1.1f * reach;
// A paddle within half a frame's way of its target would only overshoot.
constexpr float tolerance = Court::paddle_speed * Court::ticks_per_frame / 2;

}  // namespace

Policy::Policy(std::uint64_t seed) : random_(seed) {}

Policy Policy::at_random(std::uint64_t seed) {
  Policy policy(seed);
  policy.behaviour_ = Behaviour::chance;
  policy.held_ = static_cast<Action>(policy.random_.below(action_count));
  return policy;
}

void Policy::switch_behaviour() {
  // Of the frames, about 8 in 10 track, 1 holds, 1 idles: tracking lasts longer. Steep balls need rallies of
  // several hits, and where only 6 in 10 track, every other ball is lost.
  const int draw = random_.below(100);
  if (draw < 55) {
    behaviour_ = Behaviour::track;
    offset_ = random_.between(-max_offset, max_offset);
    frames_left_ = 8 + random_.below(32);
  } else if (draw < 85) {
    behaviour_ = Behaviour::hold;
    held_ = random_.below(2) == 0 ? Action::up : Action::down;
    frames_left_ = 2 + random_.below(12);
  } else {
    behaviour_ = Behaviour::idle;
    held_ = Action::stay;
    frames_left_ = 4 + random_.below(16);
  }
}

Action Policy::act(const State& state) {
  if (behaviour_ == Behaviour::chance) {
    const int on = 1 + random_.below(action_count - 1);
    return held_ = static_cast<Action>((static_cast<int>(held_) + on) % action_count);
  }
  if (frames_left_ == 0) switch_behaviour();
  --frames_left_;
  if (behaviour_ != Behaviour::track) return held_;

  const float target = state.ball_y + Court::ball_height / 2 + offset_;
  const float gap = target - (state.right_paddle_y + Court::paddle_height / 2);
  if (gap > tolerance) return Action::up;
  if (gap < -tolerance) return Action::down;
  return Action::stay;
}

}  // namespace pong
