// policy_test: what the behaviours do, and that their mixture leaves no situation without any of the actions.
#include "stages/pong/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

namespace pong {
namespace {

std::vector<Action> actions_of(Policy policy, int frames) {
  Simulator simulator(4);
  std::vector<Action> actions;
  for (int i = 0; i < frames; ++i) {
    actions.push_back(policy.act(simulator.state));
    simulator.step(actions.back());
  }
  return actions;
}

TEST(Policy, RepeatsItselfForTheSameSeed) {
  EXPECT_EQ(actions_of(Policy(6), 2000), actions_of(Policy(6), 2000));
  EXPECT_NE(actions_of(Policy(6), 2000), actions_of(Policy(7), 2000));
}

TEST(Policy, IsAValueWhoseCopyActsAlike) {
  Policy original(6);
  for (int i = 0; i < 333; ++i) original.act(State{});
  const Policy copy = original;
  const std::vector<Action> expected = actions_of(original, 1000);
  original.act(State{});
  EXPECT_EQ(actions_of(copy, 1000), expected);
}

TEST(Policy, UsesEachBehaviourAndNoneForever) {
  Policy policy(1);
  std::array<int, 3> frames{};
  Behaviour last = Behaviour::idle;
  int run = 0;
  Simulator simulator(1);
  for (int i = 0; i < 100000; ++i) {
    simulator.step(policy.act(simulator.state));
    ++frames[static_cast<std::size_t>(policy.behaviour())];
    run = policy.behaviour() == last ? run + 1 : 1;
    last = policy.behaviour();
    ASSERT_LT(run, 1000);
  }
  EXPECT_GT(frames[static_cast<std::size_t>(Behaviour::track)], 65000);
  EXPECT_GT(frames[static_cast<std::size_t>(Behaviour::hold)], 8000);
  EXPECT_GT(frames[static_cast<std::size_t>(Behaviour::idle)], 5000);
}

TEST(Policy, PressesNothingWhenIdleAndOneOfTwoKeysWhenHolding) {
  Policy policy(2);
  Simulator simulator(2);
  std::set<Action> held;
  for (int i = 0; i < 20000; ++i) {
    const Action action = policy.act(simulator.state);
    simulator.step(action);
    if (policy.behaviour() == Behaviour::idle) {
      ASSERT_EQ(action, Action::stay);
    }
    if (policy.behaviour() == Behaviour::hold) held.insert(action);
  }
  EXPECT_EQ(held, (std::set<Action>{Action::up, Action::down}));
}

TEST(Policy, MovesTowardsTheBallWhenTracking) {
  Policy policy(3);
  State high;
  high.right_paddle_y = 0;
  high.ball_y = 500;
  State low = high;
  low.right_paddle_y = 500;
  low.ball_y = 50;
  int tracked = 0;
  for (int i = 0; i < 5000; ++i) {
    const bool above = i % 2 == 0;
    const Action action = policy.act(above ? high : low);
    if (policy.behaviour() != Behaviour::track) continue;
    ASSERT_EQ(action, above ? Action::up : Action::down);
    ++tracked;
  }
  EXPECT_GT(tracked, 1000);
}

TEST(Policy, DoesNotTrembleWhenTrackingAStillBall) {
  Policy policy(5);
  State still;
  still.ball_y = 300;
  still.right_paddle_y = 290;
  int reversals = 0;
  Action last = Action::stay;
  Behaviour last_behaviour = Behaviour::idle;
  for (int i = 0; i < 5000; ++i) {
    const Action action = policy.act(still);
    if (action == Action::up) still.right_paddle_y += 16;
    if (action == Action::down) still.right_paddle_y -= 16;
    const bool tracking = policy.behaviour() == Behaviour::track && last_behaviour == Behaviour::track;
    if (tracking && action != Action::stay && last != Action::stay && action != last) ++reversals;
    last = action;
    last_behaviour = policy.behaviour();
  }
  // A new offset may turn the paddle round; twice within one frame's reach of its target, nothing may.
  EXPECT_LT(reversals, 50);
}

TEST(Policy, WaitsForTheBallWithAllPartsOfThePaddle) {
  Policy policy(6);
  State still;
  still.ball_y = 300;
  float lowest = 0, highest = 0;  // of the ball's middle, from the paddle's
  for (int i = 0; i < 5000; ++i) {
    const Action action = policy.act(still);
    if (action == Action::up) still.right_paddle_y += 16;
    if (action == Action::down) still.right_paddle_y -= 16;
    if (policy.behaviour() != Behaviour::track || action != Action::stay) continue;
    const float from_middle = still.ball_y + 16 - (still.right_paddle_y + 35);
    lowest = std::min(lowest, from_middle);
    highest = std::max(highest, from_middle);
  }
  EXPECT_LT(lowest, -45);
  EXPECT_GT(highest, 45);
  EXPECT_GT(lowest, -75);
  EXPECT_LT(highest, 75);
}

TEST(Policy, AtRandomTellsNoActionByTheFrameAndRepeatsNone) {
  const std::vector<Action> actions = actions_of(Policy::at_random(7), 9000);
  Policy blind = Policy::at_random(7);
  for (const Action action : actions) ASSERT_EQ(action, blind.act(State{}));
  std::array<std::array<int, 3>, 3> pairs{};
  for (std::size_t i = 1; i < actions.size(); ++i) {
    ++pairs[static_cast<std::size_t>(actions[i - 1])][static_cast<std::size_t>(actions[i])];
  }
  for (std::size_t before = 0; before < 3; ++before) {
    for (std::size_t action = 0; action < 3; ++action)
      EXPECT_NEAR(pairs[before][action], before == action ? 0 : 1500, before == action ? 0 : 120);
  }
}

TEST(Policy, HitsMostBallsAndMissesSome) {
  Policy policy(8);
  Simulator simulator(8);
  int hits = 0, misses = 0;
  for (int i = 0; i < 200000; ++i) {
    const StepResult result = simulator.step(policy.act(simulator.state));
    hits += result.right_hit;
    misses += result.reward < 0;
  }
  EXPECT_GT(hits, misses);
  EXPECT_GT(misses, hits / 10);
}

TEST(Policy, TakesEveryActionInEverySituation) {
  // Where the ball is (3 x 3), which way it flies, where the paddle is relative to it: 54 situations.
  std::array<std::array<int, 3>, 54> counts{};
  Policy policy(9);
  Simulator simulator(9);
  for (int i = 0; i < 400000; ++i) {
    const State& s = simulator.state;
    const int column = std::min(2, static_cast<int>((s.ball_x + 10) / 160));
    const int row = std::min(2, static_cast<int>((s.ball_y + 13) / 213));
    const float gap = s.ball_y + 16 - (s.right_paddle_y + 35);
    const int side = gap < -51 ? 0 : gap > 51 ? 2 : 1;
    const int situation = ((column * 3 + row) * 2 + (s.ball_vx > 0)) * 3 + side;
    const Action action = policy.act(s);
    ++counts[static_cast<std::size_t>(situation)][static_cast<std::size_t>(action)];
    simulator.step(action);
  }
  for (std::size_t situation = 0; situation < counts.size(); ++situation) {
    for (std::size_t action = 0; action < 3; ++action) {
      EXPECT_GE(counts[situation][action], 20) << "situation " << situation << ", action " << action;
    }
  }
}

TEST(Policy, MovesAboutAsOftenUpAsDownAndStaysHalfTheTime) {
  std::array<double, 3> share{};
  for (const Action action : actions_of(Policy(10), 100000)) share[static_cast<std::size_t>(action)] += 1e-5;
  EXPECT_NEAR(share[0], 0.5, 0.1);
  EXPECT_NEAR(share[1], 0.25, 0.05);
  EXPECT_NEAR(share[2], 0.25, 0.05);
}

}  // namespace
}  // namespace pong
