// episode_test: what belongs to which frame, and that episode k is f(seed, k).
#include "stages/pong/episode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
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

TEST(Episode, ShowsWhatIsRareInTheMannersForIt) {
  struct Counts {
    int walls = 0, at_edge = 0;
  };
  const auto count = [](Manner manner) {
    Counts counts;
    for (std::uint64_t k = 0; k < 200; ++k) {
      Play play = start_of_episode(1, k, manner);
      for (int i = 0; i < 30; ++i) {
        const auto result = play.simulator.step(play.policy.act(play.simulator.state));
        counts.walls += result.wall_bounce;
        const auto& state = play.simulator.state;
        const float off =
            std::abs(state.ball_y + Court::ball_height / 2 - state.right_paddle_y - Court::paddle_height / 2);
        counts.at_edge += result.right_hit && off > 40;
        EXPECT_LE(std::abs(state.ball_vy), Court::ball_max_speed_y);
      }
    }
    return counts;
  };
  const auto usual = count(Manner::usual);
  EXPECT_GT(count(Manner::scattered).walls, 1.5 * usual.walls);
  EXPECT_GT(count(Manner::daring).at_edge, 1.5 * usual.at_edge);
}

TEST(Episode, RefusesALengthOrSizeBelowOne) {
  EXPECT_THROW(make_episode(1, 1, params_of(0)), std::invalid_argument);
  EpisodeParams params = params_of(4);
  params.size = {0, 24};
  EXPECT_THROW(make_episode(1, 1, params), std::invalid_argument);
}

}  // namespace
}  // namespace pong
