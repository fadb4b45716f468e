// episode_test: what belongs to which frame, and that episode k is f(seed, k).
#include "stages/pong/episode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <stdexcept>
#include <vector>

#include "stages/pong/random.h"

namespace pong {
namespace {

EpisodeParams params_of(int length) {
  EpisodeParams params;
  params.length = length;
  return params;
}

TEST(Mix, GivesEveryIndexAndSeedANumberOfItsOwn) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    for (std::uint64_t index = 0; index < 100; ++index) seen.insert(mix(seed, index));
  }
  EXPECT_EQ(seen.size(), 100u * 100u);
}

TEST(Mix, IsTheSameOnEveryMachine) {
  // The first output of SplitMix64 from state 0, as published with the generator.
  EXPECT_EQ(scramble(golden_step), 0xe220a8397b1dcdafULL);
}

TEST(Random, StaysWithinItsRangeAndReachesAllOfIt) {
  Random random(1);
  std::set<int> seen;
  float low = 1, high = -1;
  for (int i = 0; i < 10000; ++i) {
    seen.insert(random.below(7));
    const float number = random.between(-1, 1);
    ASSERT_GE(number, -1);
    ASSERT_LT(number, 1);
    low = std::min(low, number);
    high = std::max(high, number);
  }
  EXPECT_EQ(seen, (std::set<int>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_LT(low, -0.99f);
  EXPECT_GT(high, 0.99f);
}

TEST(Episode, HasAFrameAnActionAndARewardForEveryStep) {
  EpisodeParams params = params_of(19);
  params.size = {10, 14};
  const Episode episode = make_episode(1, 2, params);
  EXPECT_EQ(episode.frames.size(), 19u * 10 * 14 * 3);
  EXPECT_EQ(episode.actions.size(), 19u);
  EXPECT_EQ(episode.rewards.size(), 19u);
}

TEST(Episode, RepeatsItselfForTheSameSeedAndNumber) {
  const Episode first = make_episode(1, 2, params_of(50)), second = make_episode(1, 2, params_of(50));
  EXPECT_EQ(first.frames, second.frames);
  EXPECT_EQ(first.actions, second.actions);
  EXPECT_EQ(first.rewards, second.rewards);
}

TEST(Episode, DiffersByNumberAndBySeed) {
  std::set<std::vector<std::uint8_t>> seen;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    for (std::uint64_t k = 0; k < 8; ++k) seen.insert(make_episode(seed, k, params_of(20)).frames);
  }
  EXPECT_EQ(seen.size(), 64u);
}

TEST(Episode, BeginsLikeAShorterOne) {
  const Episode shorter = make_episode(1, 2, params_of(20)), longer = make_episode(1, 2, params_of(40));
  const auto begins_like = [](const auto& whole, const auto& part) {
    return std::equal(part.begin(), part.end(), whole.begin());
  };
  EXPECT_TRUE(begins_like(longer.frames, shorter.frames));
  EXPECT_TRUE(begins_like(longer.actions, shorter.actions));
  EXPECT_TRUE(begins_like(longer.rewards, shorter.rewards));
}

TEST(Episode, LeadsFromFrameToFrameByItsActions) {
  for (const Rendering rendering : {Rendering::area, Rendering::point}) {
    EpisodeParams params = params_of(300);
    params.rendering = rendering;
    const Episode episode = make_episode(3, 4, params);
    Simulator simulator = start_of_episode(3, 4).simulator;
    const std::size_t frame_bytes = params.size.bytes();
    std::vector<std::uint8_t> expected(frame_bytes);
    for (std::size_t i = 0; i < 300; ++i) {
      render(simulator.state, params.size, rendering, expected);
      const auto begin = episode.frames.begin() + static_cast<std::ptrdiff_t>(i * frame_bytes);
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), begin)) << "frame " << i;
      ASSERT_EQ(simulator.step(episode.actions[i]).reward, episode.rewards[i]) << "step " << i;
    }
  }
}

TEST(Episode, ShowsPointsForEitherSideInTheRewards) {
  std::set<int> seen;
  for (std::uint64_t k = 0; k < 200; ++k) {
    const Episode episode = make_episode(1, k, params_of(200));
    seen.insert(episode.rewards.begin(), episode.rewards.end());
  }
  EXPECT_EQ(seen, (std::set<int>{-1, 0, 1}));
}

TEST(Episode, BeginsAnywhereInAMatch) {
  int serves = 0, towards_left = 0, later_points = 0;
  std::set<float> slopes;
  for (std::uint64_t k = 0; k < 1000; ++k) {
    const State state = start_of_episode(1, k).simulator.state;
    serves += state.ball_x == Court::width / 5 && state.ball_vx > 0;
    towards_left += state.ball_vx < 0;
    later_points += state.left_score + state.right_score > 0;
    slopes.insert(state.ball_vy);
  }
  EXPECT_LT(serves, 100);
  EXPECT_GT(towards_left, 300);
  EXPECT_LT(towards_left, 700);
  EXPECT_GT(later_points, 500);
  EXPECT_GT(slopes.size(), 12u);
}

// The frame of a paddle's first hit, `length` if there is none before that or before a point, and the actions beside it.
struct FirstHit {
  int frame = 0;
  Action before{}, action{};
};

FirstHit first_hit(Play play, int length, bool StepResult::*paddle_hit) {
  FirstHit first;
  StepResult result;
  while (!(result.*paddle_hit) && ++first.frame < length) {
    first.before = first.action;
    first.action = play.policy.act(play.simulator.state);
    result = play.simulator.step(first.action);
    if (result.reward != 0) return {.frame = length};
  }
  return first;
}

TEST(Episode, ShowsAHitByEitherPaddleOfABallOfAnySpeedWhereItIsToldTo) {
  constexpr int length = 32, count = 2400;
  std::map<float, int> balls;
  std::array<std::array<int, action_count>, action_count> actions{};  // before a right hit, at it
  int left_first = 0;
  for (std::uint64_t k = 0; k < count; ++k) {
    const Play play = start_before_hit(1, k, length);
    const FirstHit left = first_hit(play, length, &StepResult::left_hit),
                   right = first_hit(play, length, &StepResult::right_hit);
    const auto [first, second] = std::minmax(left.frame, right.frame);
    ASSERT_GE(first, frames_before_hit);
    ASSERT_LT(first, frames_before_hit + first_hit_frames);
    ASSERT_LT(second, length);
    left_first += left.frame == first;
    ++balls[play.simulator.state.ball_vy];
    ++actions[static_cast<std::size_t>(right.before)][static_cast<std::size_t>(right.action)];
  }
  EXPECT_EQ(balls.size(), 27u) << "whole numbers from -13 to 13";
  EXPECT_NEAR(balls[0], count / 14, 50);
  EXPECT_NEAR(left_first, count / 2, 100);
  for (std::size_t before = 0; before < action_count; ++before) {
    for (std::size_t at = 0; at < action_count; ++at)
      EXPECT_NEAR(actions[before][at], before == at ? 0 : count / 6, before == at ? 0 : 80);
  }
}

TEST(Episode, ShowsAHitOfAnyBallInTheShortestEpisodeAsWell) {
  constexpr int length = frames_before_hit + frames_behind_hit + 1;
  std::set<float> speeds;
  for (std::uint64_t k = 0; k < 200; ++k) {
    const Play play = start_before_hit(1, k, length);
    speeds.insert(play.simulator.state.ball_vy);
    ASSERT_TRUE(first_hit(play, length, &StepResult::left_hit).frame == frames_before_hit ||
                first_hit(play, length, &StepResult::right_hit).frame == frames_before_hit);
  }
  EXPECT_GT(speeds.size(), 24u);
}

TEST(Episode, BeginsBeforeAHitForTheSameArgumentsAlike) {
  EpisodeParams params = params_of(frames_before_hit + frames_behind_hit + 1);
  params.shows_hit = true;
  const Episode first = make_episode(1, 2, params), second = make_episode(1, 2, params);
  EXPECT_EQ(first.frames, second.frames);
  EXPECT_EQ(first.actions, second.actions);
  EXPECT_NE(first.frames, make_episode(1, 3, params).frames);
  --params.length;
  EXPECT_THROW(make_episode(1, 2, params), std::invalid_argument);
}

TEST(Episode, RefusesALengthOrSizeBelowOne) {
  EXPECT_THROW(make_episode(1, 1, params_of(0)), std::invalid_argument);
  EpisodeParams params = params_of(4);
  params.size = {0, 24};
  EXPECT_THROW(make_episode(1, 1, params), std::invalid_argument);
}

}  // namespace
}  // namespace pong
