// cached_pass_test: playing with the kernels against playing in float64, which knows no kernels.
#include "stages/model/cached_pass.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <deque>

#include "stages/model/mmdit.h"
#include "tests/model/golden.h"

namespace {

using model::Config;
using model::KvCache;

std::vector<KvCache*> pointers(std::deque<KvCache>& caches) {
  std::vector<KvCache*> all;
  for (auto& cache : caches) all.push_back(&cache);
  return all;
}

class CachedPass : public testing::TestWithParam<Config> {};

// Three players, one of whom came later, for longer than the window.
TEST_P(CachedPass, EqualsFloat64) {
  if (!model::can_fuse(GetParam())) GTEST_SKIP() << "this processor has no AVX2";
  const model::Mmdit network(GetParam());
  const Config& config = network.config();
  const auto weights = network.initialise(3);
  const auto fused = network.pack(weights), plain = network.pack(weights.to(at::kCPU, at::kDouble));
  at::manual_seed(5);
  std::deque<KvCache> ours, theirs;
  for (int frame = 0; frame < config.n_window + 2; ++frame) {
    while (ours.size() < (frame < 2 ? 2 : 3)) {
      ours.emplace_back(config);
      theirs.emplace_back(config, at::kCPU, at::kDouble);
    }
    const auto R = static_cast<std::int64_t>(ours.size());
    const at::Tensor x = at::randn({R, config.patches(), config.patch_dim()}), t = at::rand({R}),
                     action = at::randint(config.n_actions, {R}, at::kLong);
    const at::Tensor got = network.forward_cached(*fused, x, t, action, pointers(ours), true),
                     expected = network.forward_cached(*plain, x, t, action, pointers(theirs), true);
    EXPECT_LT(golden::relative_difference(got, expected), 1e-5) << "frame " << frame;
    // Who else plays changes no bit of a player's frame. (The last committed frame again, as the next one.)
    std::vector<KvCache*> one{&ours[1]};
    EXPECT_TRUE(
        at::equal(network.forward_cached(*fused, x.narrow(0, 1, 1), t.narrow(0, 1, 1), action.narrow(0, 1, 1),
                                         one, false),
                  network.forward_cached(*fused, x, t, action, pointers(ours), false).narrow(0, 1, 1)));
  }
}

TEST(CachedPassInputs, OutOfRangeAreRefused) {
  const Config config{
      .n_window = 4, .patch_size = 12, .n_heads = 2, .d_model = 32, .n_blocks = 1, .stem = "linear"};
  if (!model::can_fuse(config)) GTEST_SKIP() << "this processor has no AVX2";
  const model::Mmdit network(config);
  const auto packed = network.pack(network.initialise(0));
  std::deque<KvCache> caches;
  caches.emplace_back(config);
  const at::Tensor x = at::zeros({1, config.patches(), config.patch_dim()});
  const auto refused = [&](double t, std::int64_t action) {
    EXPECT_THROW(network.forward_cached(*packed, x, at::full({1}, t), at::full({1}, action, at::kLong),
                                        pointers(caches), true),
                 std::invalid_argument);
  };
  refused(1.5, 0);
  refused(-0.1, 0);
  refused(std::nan(""), 0);
  refused(0.5, 4);
  refused(0.5, -1);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, CachedPass,
    testing::Values(
        Config{.n_window = 4,
               .patch_size = 6,
               .n_heads = 4,
               .d_model = 96,
               .n_blocks = 2,
               .expansion = 2,
               .stem = "linear"},
        Config{.n_window = 5,
               .patch_size = 6,
               .n_heads = 2,
               .d_model = 48,
               .n_blocks = 2,
               .n_past_actions = 4,
               .stem = "linear"},
        Config{.n_window = 3, .patch_size = 4, .n_heads = 4, .d_model = 128, .n_blocks = 2, .n_registers = 3},
        Config{.n_window = 3, .patch_size = 6, .n_heads = 3, .d_model = 24, .n_blocks = 1, .n_registers = 0},
        Config{.n_window = 2, .patch_size = 6, .n_heads = 2, .d_model = 16, .n_blocks = 1, .in_channels = 16},
        Config{.n_window = 1,
               .patch_size = 8,
               .n_heads = 4,
               .d_model = 192,
               .n_blocks = 1,
               .rope_type = "vid",
               .stem = "linear"}),
    [](const auto& kind) { return "d" + std::to_string(kind.param.d_model) + kind.param.stem; });

}  // namespace
