// rope_test: rotary factors are the reference's and relative.
#include "stages/model/rope.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "tests/model/golden.h"

namespace {

using model::Config;
using model::Rotation;

Config head_of_12(const char* rope_type) {
  Config config;
  config.height = config.width = 6;
  config.n_heads = 2;
  config.d_model = 24;
  config.stem = "linear";
  config.rope_type = rope_type;
  return config;
}

TEST(Rope, FactorsAreThoseOfTheReferencesTable) {
  // sin of token 2 in golden's table: d_head 16, C 5000.
  Config config = head_of_12("rope");
  config.d_model = 32;
  const at::Tensor sin = model::rotation(config, 0, 1).sin[2];
  const float expected[] = {0.9092974066734314f,   0.6363040208816528f,   0.235605388879776f,
                            0.08192741870880127f,  0.028280504047870636f, 0.009753645397722721f,
                            0.003363580210134387f, 0.0011599287390708923f};
  for (int pair = 0; pair < 8; ++pair) {
    EXPECT_NEAR(sin[2 * pair].item<float>(), expected[pair], 1e-6);
    EXPECT_NEAR(sin[2 * pair + 1].item<float>(), expected[pair], 1e-6);
  }
}

TEST(Rope, TurnsInterleavedPairs) {
  const at::Tensor x = at::tensor({1.f, 0.f}).view({1, 1, 1, 2});
  const Rotation quarter{at::full({1, 2}, std::cos(0.5f)), at::full({1, 2}, std::sin(0.5f))};
  const at::Tensor turned = model::rotate(x, quarter).flatten();
  EXPECT_NEAR(turned[0].item<float>(), std::cos(0.5f), 1e-6);
  EXPECT_NEAR(turned[1].item<float>(), std::sin(0.5f), 1e-6);
}

TEST(Rope, ScoresDependOnDistanceAloneHoweverLongTheGame) {
  for (const char* rope_type : {"rope", "vid"}) {
    const Config config = head_of_12(rope_type);
    const at::Tensor q = at::randn({1, 1, config.tokens(), 12}), k = at::randn({1, 1, config.tokens(), 12});
    const auto scores = [&](std::int64_t first) {
      return at::matmul(model::rotate(q, model::rotation(config, first + 3, 1)),
                        model::rotate(k, model::rotation(config, first, 1)).transpose(-1, -2));
    };
    EXPECT_LT(golden::largest_difference(scores(0), scores(1'000'000'000)), 1e-4) << rope_type;
  }
}

TEST(Rope, VidTurnsColumnRowAndFrameInThirds) {
  const Config config = head_of_12("vid");  // 2 x 2 patches and a register
  const Rotation turn = model::rotation(config, 0, 2);
  const double base = static_cast<double>(config.C / 3);
  const auto sin_of = [&](double position, int pair) {
    return std::sin(position * std::pow(base, -pair / 2.0));
  };
  const auto expect_turn = [&](std::int64_t token, double column, double row, double frame) {
    const double positions[] = {column, row, frame};
    for (int part = 0; part < 3; ++part) {
      for (int pair = 0; pair < 2; ++pair) {
        EXPECT_NEAR(turn.sin[token][4 * part + 2 * pair].item<float>(), sin_of(positions[part], pair), 1e-6)
            << "token " << token << " part " << part << " pair " << pair;
      }
    }
  };
  ASSERT_EQ(config.tokens(), 5);
  expect_turn(1, 1, 0, 0);
  expect_turn(2, 0, 1, 0);
  expect_turn(4, 2, 2, 0);  // the register, one past the grid
  expect_turn(5 + 3, 1, 1, 1);
}

TEST(Rope, VidLeavesTheRemainderOfTheHeadAlone) {
  Config config = head_of_12("vid");
  config.n_heads = 1;
  config.d_model = 14;  // thirds of 4 and two over
  const Rotation turn = model::rotation(config, 5, 1);
  EXPECT_EQ(turn.sin.narrow(1, 12, 2).abs().max().item<float>(), 0);
  EXPECT_EQ(turn.cos.narrow(1, 12, 2).min().item<float>(), 1);
}

}  // namespace
