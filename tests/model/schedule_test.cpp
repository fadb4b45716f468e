// schedule_test: noise levels fall from 1 to 0, learning rates rise and fall.
#include "stages/model/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/model/golden.h"

namespace {

using model::noise_levels;

void expect_fall(const model::Schedule& schedule) {
  for (const int steps : {1, 2, 7, 1000}) {
    const auto levels = noise_levels(schedule, steps);
    ASSERT_EQ(levels.size(), static_cast<std::size_t>(steps) + 1);
    EXPECT_NEAR(levels.front(), 1, 1e-12);
    EXPECT_EQ(levels.back(), 0);
    for (std::size_t i = 1; i < levels.size(); ++i)
      ASSERT_LT(levels[i], levels[i - 1])
          << schedule.schedule << ' ' << schedule.spacing << ' ' << schedule.shift;
  }
}

TEST(NoiseLevels, RunFromOneToZeroAndFall) {
  for (const double shift : {0.001, 0.5, 1.0, 3.0, 1000.0}) {
    expect_fall({.shift = shift});
    for (const auto& spacing : model::spacings())
      for (const double terminal : {0.0, 0.3})
        expect_fall({.schedule = "sd3", .shift = shift, .spacing = spacing, .terminal = terminal});
  }
  for (const auto* schedule : {"linear", "cosine"}) expect_fall({.schedule = schedule});
  for (const double rho : {1.0, 7.0, 100.0}) expect_fall({.schedule = "karras", .rho = rho});
}

void expect_near(const std::vector<double>& levels, const std::vector<double>& expected) {
  ASSERT_EQ(levels.size(), expected.size());
  for (std::size_t i = 0; i < levels.size(); ++i) EXPECT_NEAR(levels[i], expected[i], 1e-6) << i;
}

TEST(NoiseLevels, OfLinearAreEven) {
  expect_near(noise_levels({.schedule = "linear"}, 4), {1, 0.75, 0.5, 0.25, 0});
}

TEST(NoiseLevels, OfCosineHaveItsRatioOfNoiseToData) {
  expect_near(noise_levels({.schedule = "cosine"}, 4), {1, std::sqrt(0.5), 0.5, 1 - std::sqrt(0.5), 0});
}

TEST(NoiseLevels, OfKarrasHaveTheRatiosOfNoiseToDataOfThePaper) {
  // sigma of four steps, 80 to 0.002: 80, 9.72320, 0.469979, 0.002.
  expect_near(noise_levels({.schedule = "karras"}, 4), {1, 0.906744, 0.319718, 0.001996, 0});
  // With rho 1 even in sigma.
  expect_near(noise_levels({.schedule = "karras", .rho = 1}, 4), {1, 0.981595, 0.963857, 0.001996, 0});
}

TEST(NoiseLevels, OfCustomAreThoseThatAreGiven) {
  for (const int steps : {1, 4, 1000})
    EXPECT_EQ(noise_levels({.schedule = "custom", .levels = {1, 0.6, 0.1, 0}}, steps),
              (std::vector<double>{1, 0.6, 0.1, 0}));
}

TEST(NoiseLevels, OfNoShiftAreEven) { EXPECT_NEAR(noise_levels({.shift = 1}, 7)[3], 4.0 / 7, 1e-12); }

TEST(NoiseLevels, OfSd3EndAtTheTerminal) {
  EXPECT_NEAR(noise_levels({.schedule = "sd3", .terminal = 0.1}, 6)[5], 0.1, 1e-12);
  // As they come: shifted twice, whatever the number of steps.
  EXPECT_NEAR(noise_levels({.schedule = "sd3"}, 4)[3], 0.00893, 1e-5);
  EXPECT_NEAR(noise_levels({.schedule = "sd3"}, 28)[27], 0.00893, 1e-5);
}

TEST(NoiseLevels, RefuseWhatTheyDoNotKnow) {
  const auto what = [](const model::Schedule& schedule, int steps) {
    return golden::refusal<std::invalid_argument>([&] { noise_levels(schedule, steps); });
  };
  EXPECT_EQ(what({.schedule = "sd4"}, 4),
            "schedule: schedule is 'sd4', expected shifted_linear | sd3 | linear | cosine | karras | custom");
  EXPECT_EQ(what({.spacing = "even"}, 4),
            "schedule: spacing is 'even', expected linear | karras | exponential | beta");
  EXPECT_EQ(what({}, 0), "schedule: steps is 0, expected 1 to 1000");
  EXPECT_NE(what({.shift = 0}, 4).find("expected 0.001 to 1000"), std::string::npos);
  EXPECT_NE(what({.schedule = "sd3", .terminal = 1}, 4).find("expected 0 or more, below 1"),
            std::string::npos);
  EXPECT_NE(what({.schedule = "karras", .rho = 0.5}, 4).find("rho is 0.500000, expected 1 to 100"),
            std::string::npos);
}

TEST(NoiseLevels, RefuseWhatIsForAnotherSchedule) {
  const auto what = [](const model::Schedule& schedule) {
    return golden::refusal<std::invalid_argument>([&] { noise_levels(schedule, 4); });
  };
  for (const auto* schedule : {"shifted_linear", "linear", "cosine", "karras"}) {
    EXPECT_NE(what({.schedule = schedule, .spacing = "karras"}).find("others are for sd3"),
              std::string::npos);
    EXPECT_NE(what({.schedule = schedule, .terminal = 0.1}).find("others are for sd3"), std::string::npos);
    EXPECT_NE(what({.schedule = schedule, .levels = {1, 0}}).find("they are for custom"), std::string::npos);
  }
  EXPECT_NE(what({.schedule = "linear", .rho = 3}).find("others are for karras"), std::string::npos);
}

TEST(NoiseLevels, OfCustomMustFallFromOneToZero) {
  const auto what = [](const std::vector<double>& levels) {
    return golden::refusal<std::invalid_argument>(
        [&] { noise_levels({.schedule = "custom", .levels = levels}, 4); });
  };
  EXPECT_EQ(what({1, 0.5, 0.5, 0}),
            "schedule: levels is [1, 0.5, 0.5, 0], expected 1 to 1000 steps down from 1 to 0, as [1, 0.75, "
            "0.4, 0]");
  for (const auto& levels : std::vector<std::vector<double>>{
           {}, {1}, {0.9, 0}, {1, 0.1}, {1, 0.2, 0.3, 0}, {1, std::nan(""), 0}, {2, 1, 0}})
    EXPECT_NE(what(levels).find("levels is ["), std::string::npos);
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
