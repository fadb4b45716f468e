// schedule_test: noise levels and learning rates are the reference's.
#include "stages/model/schedule.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/model/golden.h"

namespace {

TEST(ShiftedLinear, AgreesWithTheReferencesGrid) {
  const auto json =
      nlohmann::json::parse(golden::text_of(std::filesystem::path(GOLDEN_DIR) / "schedules.json"));
  for (const auto& each : json.at("toy")) {
    const std::vector<double> levels = model::shifted_linear(each.at("steps"), each.at("shift"));
    ASSERT_EQ(levels.size(), each.at("sigmas").size());
    for (std::size_t i = 0; i < levels.size(); ++i)
      EXPECT_NEAR(levels[i], each.at("sigmas")[i].get<double>(), 1e-6);
  }
}

TEST(ShiftedLinear, RunsFromOneToZero) {
  const std::vector<double> levels = model::shifted_linear(7, 1);
  EXPECT_EQ(levels.front(), 1);
  EXPECT_EQ(levels.back(), 0);
  EXPECT_NEAR(levels[3], 4.0 / 7, 1e-12);
  EXPECT_THROW(model::shifted_linear(0), std::invalid_argument);
  EXPECT_THROW(model::shifted_linear(4, 0), std::invalid_argument);
}

TEST(CosineWithWarmup, RisesLinearlyThenFallsToZero) {
  EXPECT_EQ(model::cosine_with_warmup(0, 2, 20), 0);
  EXPECT_EQ(model::cosine_with_warmup(1, 2, 20), 0.5);
  EXPECT_EQ(model::cosine_with_warmup(2, 2, 20), 1);
  EXPECT_NEAR(model::cosine_with_warmup(11, 2, 20), 0.5, 1e-12);
  EXPECT_EQ(model::cosine_with_warmup(20, 2, 20), 0);
  EXPECT_EQ(model::cosine_with_warmup(25, 2, 20), 0);
}

TEST(CosineWithWarmup, TakesProgressAsWellAsSteps) {
  EXPECT_NEAR(model::cosine_with_warmup(0.55, 0.1, 1), model::cosine_with_warmup(55, 10, 100), 1e-12);
  EXPECT_EQ(model::cosine_with_warmup(0, 0, 1), 1);
}

}  // namespace
