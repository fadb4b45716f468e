// simulator_test: PufferLib's rules, one by one.
#include "stages/pong/simulator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "stages/pong/random.h"

namespace pong {
namespace {

constexpr float paddle_middle = 285;  // (640 - 70) / 2
constexpr float ball_middle = 304;    // (640 - 32) / 2

// A ball in mid-court that meets nothing for a few frames.
State quiet() {
  State state;
  state.left_paddle_y = state.right_paddle_y = paddle_middle;
  state.ball_x = 200;
  state.ball_y = ball_middle;
  state.ball_vx = 10;
  state.ball_vy = 0;
  return state;
}

// A ball that meets the right paddle's middle in the frame's first tick, then flies on for one.
State about_to_hit_right(float vy) {
  State state = quiet();
  state.ball_x = 460;
  state.ball_vy = vy;
  return state;
}

State about_to_hit_left(float vy) {
  State state = quiet();
  state.ball_x = 5;
  state.ball_vx = -10;
  state.ball_vy = vy;
  return state;
}

State about_to_miss_right() {
  State state = about_to_hit_right(0);
  state.right_paddle_y = 0;
  return state;
}

State about_to_miss_left() {
  State state = about_to_hit_left(0);
  state.left_paddle_y = 0;
  return state;
}

// The state one frame after `before`.
State after(const State& before, Action action, StepResult* result = nullptr) {
  Simulator simulator(1);
  simulator.state = before;
  const StepResult step = simulator.step(action);
  if (result != nullptr) *result = step;
  return simulator.state;
}

void expect_served(const State& state) {
  EXPECT_EQ(state.left_paddle_y, paddle_middle);
  EXPECT_EQ(state.right_paddle_y, paddle_middle);
  EXPECT_EQ(state.ball_x, 100);
  EXPECT_EQ(state.ball_y, ball_middle);
  EXPECT_EQ(state.ball_vx, 10);
  EXPECT_TRUE(state.ball_vy == -1 || state.ball_vy == 0) << state.ball_vy;
}

TEST(Serve, StartsAtAFifthOfTheWidthAtMidHeightTowardsTheRight) {
  const Simulator simulator(5);
  expect_served(simulator.state);
  EXPECT_EQ(simulator.state.left_score, 0);
  EXPECT_EQ(simulator.state.right_score, 0);
}

TEST(Serve, IsLevelOrDownwardsAboutEquallyOften) {
  int level = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const float vy = Simulator(seed).state.ball_vy;
    ASSERT_TRUE(vy == -1 || vy == 0) << vy;
    level += vy == 0;
  }
  EXPECT_GT(level, 430);
  EXPECT_LT(level, 570);
}

TEST(Serve, VariesWithinAMatch) {
  Simulator simulator(3);
  std::set<float> slopes;
  for (int i = 0; i < 20; ++i) {
    simulator.state = about_to_miss_right();
    simulator.step(Action::stay);
    slopes.insert(simulator.state.ball_vy);
  }
  EXPECT_EQ(slopes, (std::set<float>{-1, 0}));
}

TEST(Frame, IsTwoTicks) {
  State before = quiet();
  before.ball_vy = 3;
  const State now = after(before, Action::stay);
  EXPECT_EQ(now.ball_x, before.ball_x + 2 * 10);
  EXPECT_EQ(now.ball_y, before.ball_y + 2 * 3);
}

TEST(Frame, WithoutIncidentReportsNothing) {
  StepResult result;
  after(quiet(), Action::up, &result);
  EXPECT_EQ(result, StepResult{});
}

TEST(RightPaddle, MovesEightATickWhereItsActionSays) {
  EXPECT_EQ(after(quiet(), Action::up).right_paddle_y, paddle_middle + 16);
  EXPECT_EQ(after(quiet(), Action::down).right_paddle_y, paddle_middle - 16);
  EXPECT_EQ(after(quiet(), Action::stay).right_paddle_y, paddle_middle);
}

TEST(RightPaddle, HangsHalfOutAndNoFurther) {
  State high = quiet();
  high.right_paddle_y = 600;
  EXPECT_EQ(after(high, Action::up).right_paddle_y, 605);
  State low = quiet();
  low.right_paddle_y = -30;
  EXPECT_EQ(after(low, Action::down).right_paddle_y, -35);
  EXPECT_EQ(after(low, Action::up).right_paddle_y, -14);
}

TEST(LeftPaddle, FollowsTheBallAtPaddleSpeed) {
  State above = quiet();
  above.ball_y = 500;
  EXPECT_EQ(after(above, Action::stay).left_paddle_y, paddle_middle + 16);
  State below = quiet();
  below.ball_y = 100;
  EXPECT_EQ(after(below, Action::stay).left_paddle_y, paddle_middle - 16);
}

TEST(LeftPaddle, PutsItsMiddleAtTheBallsLowerEdge) {
  State before = quiet();
  before.ball_y = paddle_middle + 35 + 5;
  EXPECT_EQ(after(before, Action::stay).left_paddle_y + 35, before.ball_y);
}

TEST(LeftPaddle, AimsAtWhereTheBallWasBeforeItMoved) {
  State before = quiet();
  before.ball_y = paddle_middle + 35;
  before.ball_vy = 4;
  EXPECT_EQ(after(before, Action::stay).left_paddle_y, paddle_middle + 4);
}

TEST(LeftPaddle, IgnoresTheAction) {
  State before = quiet();
  before.ball_y = 500;
  EXPECT_EQ(after(before, Action::up).left_paddle_y, after(before, Action::down).left_paddle_y);
}

TEST(LeftPaddle, HangsHalfOutAndNoFurther) {
  State before = quiet();
  before.left_paddle_y = -34;
  before.ball_y = -40;
  EXPECT_EQ(after(before, Action::stay).left_paddle_y, -35);
  before.left_paddle_y = 604;
  before.ball_y = 660;
  EXPECT_EQ(after(before, Action::stay).left_paddle_y, 605);
}

TEST(Wall, FlipsVyAtTheCeiling) {
  State before = quiet();
  before.ball_y = 600;
  before.ball_vy = 13;
  StepResult result;
  const State now = after(before, Action::stay, &result);
  EXPECT_TRUE(result.wall_bounce);
  EXPECT_EQ(now.ball_vy, -13);
  EXPECT_EQ(now.ball_y, 600) << "one tick out, one tick back";
}

TEST(Wall, FlipsVyAtTheFloor) {
  State before = quiet();
  before.ball_y = 5;
  before.ball_vy = -6;
  StepResult result;
  const State now = after(before, Action::stay, &result);
  EXPECT_TRUE(result.wall_bounce);
  EXPECT_EQ(now.ball_vy, 6);
}

TEST(Wall, IsNotTouchedByABallThatEndsExactlyAtIt) {
  State before = quiet();
  before.ball_y = 12;
  before.ball_vy = -6;
  StepResult result;
  const State now = after(before, Action::stay, &result);
  EXPECT_FALSE(result.wall_bounce);
  EXPECT_EQ(now.ball_y, 0);
  EXPECT_EQ(now.ball_vy, -6);
}

TEST(LeftHit, FlipsVxAndGivesNoSpin) {
  StepResult result;
  const State now = after(about_to_hit_left(-2), Action::up, &result);
  EXPECT_TRUE(result.left_hit);
  EXPECT_FALSE(result.right_hit);
  EXPECT_EQ(result.reward, 0);
  EXPECT_EQ(now.ball_vx, 10);
  EXPECT_EQ(now.ball_vy, -2) << "the left paddle moved, and yet";
}

TEST(LeftHit, MayLeaveTheBallLevel) { EXPECT_EQ(after(about_to_hit_left(0), Action::up).ball_vy, 0); }

TEST(LeftHit, TakesPlaceBelowZeroOnly) {
  State before = about_to_hit_left(0);
  before.ball_x = 20;
  StepResult result;
  EXPECT_EQ(after(before, Action::stay, &result).ball_x, 0);
  EXPECT_FALSE(result.left_hit);
}

TEST(RightHit, FlipsVxAndPutsTheBallBackIntoTheCourt) {
  StepResult result;
  const State now = after(about_to_hit_right(2), Action::stay, &result);
  EXPECT_TRUE(result.right_hit);
  EXPECT_FALSE(result.left_hit);
  EXPECT_EQ(result.reward, 0);
  EXPECT_EQ(now.ball_vx, -10);
  EXPECT_EQ(now.ball_x, 500 - 32 - 10) << "moved back to 468, then one tick";
}

TEST(RightHit, TakesPlaceBeyondTheCourtOnly) {
  State before = about_to_hit_right(0);
  before.ball_x = 448;
  StepResult result;
  EXPECT_EQ(after(before, Action::stay, &result).ball_x, 468);
  EXPECT_FALSE(result.right_hit);
}

TEST(RightHit, AddsThreeTimesThePaddlesDirection) {
  EXPECT_EQ(after(about_to_hit_right(2), Action::up).ball_vy, 5);
  EXPECT_EQ(after(about_to_hit_right(2), Action::down).ball_vy, -1);
  EXPECT_EQ(after(about_to_hit_right(2), Action::stay).ball_vy, 2);
}

TEST(RightHit, SpinsTheBallEvenWhenThePaddleIsAtItsLimit) {
  State before = about_to_hit_right(2);
  before.right_paddle_y = 605;
  before.ball_y = 590;
  EXPECT_EQ(after(before, Action::up).ball_vy, 5);
}

TEST(RightHit, LimitsVyToThirteen) {
  EXPECT_EQ(after(about_to_hit_right(12), Action::up).ball_vy, 13);
  EXPECT_EQ(after(about_to_hit_right(-12), Action::down).ball_vy, -13);
}

TEST(RightHit, NeverLeavesTheBallLevel) {
  EXPECT_EQ(after(about_to_hit_right(0), Action::stay).ball_vy, 3);
  EXPECT_EQ(after(about_to_hit_right(3), Action::down).ball_vy, 3);
  EXPECT_EQ(after(about_to_hit_right(-3), Action::up).ball_vy, 3);
  EXPECT_EQ(after(about_to_hit_right(0.009f), Action::stay).ball_vy, 3);
  EXPECT_EQ(after(about_to_hit_right(0.02f), Action::stay).ball_vy, 0.02f);
}

TEST(RightHit, MayTurnTheBallsWayAtTheSameTickAsAWall) {
  State before = about_to_hit_right(-2);
  before.ball_y = 1;
  before.right_paddle_y = 0;
  StepResult result;
  const State now = after(before, Action::stay, &result);
  EXPECT_TRUE(result.wall_bounce);
  EXPECT_TRUE(result.right_hit);
  EXPECT_EQ(now.ball_vy, 2);
  EXPECT_EQ(now.ball_y, 2) << "put back to 0, then one tick";
}

TEST(RightHit, NeedsMoreThanTouchingEdges) {
  State before = about_to_hit_right(0);
  before.ball_y = 300;
  StepResult result;
  before.right_paddle_y = 300 + 32;
  after(before, Action::stay, &result);
  EXPECT_EQ(result.reward, -1);
  before.right_paddle_y = 300 + 31;
  after(before, Action::stay, &result);
  EXPECT_EQ(result.reward, 0);
  before.right_paddle_y = 300 - 70;
  after(before, Action::stay, &result);
  EXPECT_EQ(result.reward, -1);
  before.right_paddle_y = 300 - 69;
  after(before, Action::stay, &result);
  EXPECT_EQ(result.reward, 0);
}

TEST(RightHit, CountsThePaddlesMoveOfTheSameTick) {
  State before = about_to_hit_right(0);
  before.ball_y = 300;
  before.right_paddle_y = 300 - 75;
  StepResult result;
  after(before, Action::stay, &result);
  EXPECT_EQ(result.reward, -1);
  after(before, Action::up, &result);
  EXPECT_TRUE(result.right_hit);
}

TEST(Point, GoesToTheLeftWhenTheRightMisses) {
  StepResult result;
  const State now = after(about_to_miss_right(), Action::stay, &result);
  EXPECT_EQ(result.reward, -1);
  EXPECT_FALSE(result.right_hit);
  EXPECT_FALSE(result.match_end);
  EXPECT_EQ(now.left_score, 1);
  EXPECT_EQ(now.right_score, 0);
}

TEST(Point, GoesToTheRightWhenTheLeftMisses) {
  StepResult result;
  const State now = after(about_to_miss_left(), Action::stay, &result);
  EXPECT_EQ(result.reward, 1);
  EXPECT_FALSE(result.left_hit);
  EXPECT_EQ(now.left_score, 0);
  EXPECT_EQ(now.right_score, 1);
}

TEST(Point, ServesAnewInTheSameTickAndEndsTheFrame) {
  expect_served(after(about_to_miss_right(), Action::up));
  expect_served(after(about_to_miss_left(), Action::up));

  State in_the_second_tick = about_to_miss_right();
  in_the_second_tick.ball_x = 450;
  expect_served(after(in_the_second_tick, Action::up));
}

TEST(Point, LeavesNoSecondTickToItsFrame) {
  State before = about_to_miss_right();
  before.ball_y = 590;
  before.ball_vy = 13;
  StepResult result;
  after(before, Action::stay, &result);
  EXPECT_EQ(result.reward, -1);
  EXPECT_FALSE(result.wall_bounce) << "the missed ball flew on to the ceiling";
}

TEST(Match, HasTwentyOnePointsForEitherSide) {
  for (const State& miss : {about_to_miss_right(), about_to_miss_left()}) {
    Simulator simulator(1);
    for (int point = 1; point <= 21; ++point) {
      const int left = simulator.state.left_score, right = simulator.state.right_score;
      EXPECT_EQ(left + right, point - 1);
      simulator.state = miss;
      simulator.state.left_score = left;
      simulator.state.right_score = right;
      const StepResult result = simulator.step(Action::stay);
      EXPECT_NE(result.reward, 0);
      EXPECT_EQ(result.match_end, point == 21);
    }
    EXPECT_EQ(simulator.state.left_score, 0);
    EXPECT_EQ(simulator.state.right_score, 0);
    expect_served(simulator.state);
  }
}

TEST(Match, DoesNotEndByTheSumOfBothScores) {
  State before = about_to_miss_right();
  before.left_score = 19;
  before.right_score = 20;
  StepResult result;
  const State now = after(before, Action::stay, &result);
  EXPECT_FALSE(result.match_end);
  EXPECT_EQ(now.left_score, 20);
  EXPECT_EQ(now.right_score, 20);
}

// The states of a match under actions that are arbitrary but fixed.
std::vector<State> history(Simulator simulator, int frames) {
  std::vector<State> states;
  for (int i = 0; i < frames; ++i) {
    simulator.step(static_cast<Action>(mix(9, static_cast<std::uint64_t>(i / 7)) % action_count));
    states.push_back(simulator.state);
  }
  return states;
}

TEST(Simulator, RepeatsItselfForTheSameSeed) {
  EXPECT_EQ(history(Simulator(42), 3000), history(Simulator(42), 3000));
  EXPECT_NE(history(Simulator(42), 3000), history(Simulator(43), 3000));
}

TEST(Simulator, IsAValueWhoseCopyHasTheSameFuture) {
  Simulator original(11);
  for (int i = 0; i < 500; ++i) original.step(Action::down);
  const Simulator copy = original;
  const std::vector<State> expected = history(original, 2000);
  for (int i = 0; i < 500; ++i) original.step(Action::up);
  EXPECT_EQ(history(copy, 2000), expected);
}

TEST(Simulator, StaysWithinItsBoundsForALongTime) {
  Simulator simulator(8);
  bool steep = false;
  int hits = 0;
  for (int i = 0; i < 200000; ++i) {
    // Follows the ball while swinging, so that rallies are long and the ball gets steep.
    const float gap = simulator.state.ball_y - simulator.state.right_paddle_y - 19;
    const bool swing = mix(2, static_cast<std::uint64_t>(i)) % 4 == 0;
    const Action action = gap > 8 || (swing && gap > -30) ? Action::up
                          : gap < -8                      ? Action::down
                                                          : Action::stay;
    const StepResult result = simulator.step(action);
    const State& s = simulator.state;
    ASSERT_EQ(std::abs(s.ball_vx), 10);
    ASSERT_LE(std::abs(s.ball_vy), 13);
    ASSERT_GE(s.ball_x, -10);
    ASSERT_LE(s.ball_x, 478);
    ASSERT_GE(s.ball_y, -13);
    ASSERT_LE(s.ball_y, 608 + 13);
    ASSERT_GE(s.left_paddle_y, -35);
    ASSERT_LE(s.left_paddle_y, 605);
    ASSERT_GE(s.right_paddle_y, -35);
    ASSERT_LE(s.right_paddle_y, 605);
    ASSERT_LT(s.left_score, 21);
    ASSERT_LT(s.right_score, 21);
    steep = steep || std::abs(s.ball_vy) > 12;
    hits += result.right_hit;
  }
  EXPECT_TRUE(steep);
  EXPECT_GT(hits, 1000);
}

}  // namespace
}  // namespace pong
