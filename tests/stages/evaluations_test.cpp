// evaluations_test: how often the network is asked for a frame.
#include "stages/play/evaluations.h"

#include <gtest/gtest.h>

#include "graph/value.h"

namespace {

std::optional<int> of(const std::string& type, const std::string& more) {
  return stages::evaluations_per_frame(
      graph::parse_yaml("{type: " + type + ", steps: 4, schedule: linear, " + more + "}", "test"));
}

TEST(Evaluations, AreTheSolversAndTheCommits) {
  const std::string renoised = "guidance: 1, guidance_cache: own, commit: renoised",
                    last_step = "guidance: 1, guidance_cache: own, commit: last_step";
  EXPECT_EQ(of("euler_denoiser", renoised), 5);
  EXPECT_EQ(of("euler_denoiser", last_step), 4);
  EXPECT_EQ(of("dpmpp_2m_denoiser", renoised), 5);
  EXPECT_EQ(of("midpoint_denoiser", renoised), 9);
  EXPECT_EQ(of("heun_denoiser", renoised), 8);
  EXPECT_EQ(of("stochastic_euler_denoiser", renoised), 5);
}

TEST(Evaluations, OfACustomScheduleFollowItsLevels) {
  const auto custom = graph::parse_yaml(
      "{type: ab2_denoiser, steps: 9, schedule: custom, levels: [1, 0.3, 0], guidance: 1, guidance_cache: "
      "own, "
      "commit: clean}",
      "test");
  EXPECT_EQ(stages::evaluations_per_frame(custom), 3);
}

TEST(Evaluations, WithAndWithoutTheActionAreTwo) {
  EXPECT_EQ(of("euler_denoiser", "guidance: 2, guidance_cache: own, commit: clean"), 10);
  EXPECT_EQ(of("euler_denoiser", "guidance: 2, guidance_cache: shared, commit: clean"), 9);
  EXPECT_EQ(of("euler_denoiser", "guidance: 0.5, guidance_cache: own, commit: last_step"), 8);
}

TEST(Evaluations, OfOtherStagesAreNotKnown) { EXPECT_FALSE(of("count", "every: 1")); }

}  // namespace
