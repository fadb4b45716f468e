// debug_test: count, delay, check.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <chrono>

#include "stages/types.h"
#include "tests/harness.h"

namespace {

using stages::Turn;
using tests::Harness;

graph::Any turn(std::int64_t action) { return graph::Any::of(Turn{torch::full({2}, action, torch::kLong)}); }

TEST(Count, TakesAnything) {
  Harness count("count");
  count.start();
  count.run<>(0, graph::Any::of(3));
  count.run<>(1, turn(1));
  count.finish();
}

TEST(Delay, PassesTheSameBodyOnLate) {
  Harness delay("delay", "{seconds: 0.03}");
  const auto begin = std::chrono::steady_clock::now();
  const auto in = turn(2);
  const auto out = *delay.run<graph::Any>(0, in);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(30));
  EXPECT_EQ(out.get<Turn>(), in.get<Turn>());
}

TEST(Check, PassesWhatAgreesAndNamesWhatDoesNot) {
  Harness check("check");
  check.run<>(0, turn(1), turn(1));
  EXPECT_THROW(check.run<>(1, turn(1), turn(2)), graph::Error);
  EXPECT_THROW(check.run<>(2, turn(1), graph::Any::of(Turn{torch::ones({3}, torch::kLong)})), graph::Error);
  EXPECT_THROW(check.run<>(3, graph::Any::of(1), graph::Any::of(1)), graph::Error);
  const auto nan = [] {
    return graph::Any::of(stages::Patches{torch::full({1, 1, 1, 1}, NAN), torch::ones({1, 1}, torch::kLong)});
  };
  EXPECT_THROW(check.run<>(4, nan(), nan()), graph::Error);
}

TEST(Check, ToleratesWhatItIsTold) { Harness("check", "{tolerance: 1}").run<>(0, turn(1), turn(2)); }

}  // namespace
