// flops_test: the count against known figures, and against one made weight by weight and look by look.
#include "stages/model/flops.h"

#include <gtest/gtest.h>

#include "stages/model/mmdit.h"

namespace {

using model::Config;

Config bench_small() {
  return {.n_window = 16, .patch_size = 4, .n_heads = 4, .d_model = 128, .n_blocks = 6};
}
Config seed() { return {}; }

double train_flop_per_token(const Config& config) {
  return model::train_flop(config, config.n_window) / static_cast<double>(config.n_window * config.tokens());
}

TEST(Flops, OfTheBenchModelsAreAsKnown) {
  EXPECT_NEAR(train_flop_per_token(bench_small()), 23e6, 0.02 * 23e6);
  EXPECT_NEAR(train_flop_per_token(seed()), 147e6, 0.02 * 147e6);
  EXPECT_NEAR(model::play_flop(bench_small()), 0.32e9, 0.02 * 0.32e9);
  EXPECT_NEAR(model::play_flop(seed()), 3.8e9, 0.02 * 3.8e9);
}

// How often a frame meets each number of this weight; 0 where that is no product.
std::int64_t meetings(const Config& config, const model::Shape& weight) {
  const auto starts = [&](const char* prefix) { return weight.name.starts_with(prefix); };
  if (weight.sizes.size() < 2 || starts("registers") || starts("rope_seq.") || starts("action_emb.") ||
      starts("past_action_emb.") || starts("patch.position"))
    return 0;
  if (starts("time_emb_mixer") || weight.name.find("modulation") != std::string::npos) return 1;
  if (starts("patch.init_conv_seq")) return config.height * config.width;
  if (starts("patch.x_embedder") || starts("unpatch")) return config.patches();
  EXPECT_TRUE(starts("blocks.")) << weight.name;
  return config.tokens();
}

// All looks in one block: of each a score, and a share of the value.
std::int64_t looks_flop(const Config& config, std::int64_t frames) {
  std::int64_t flop = 0;
  const auto tokens = frames * config.tokens();
  for (std::int64_t query = 0; query < tokens; ++query)
    for (std::int64_t key = 0; key < tokens; ++key) {
      const auto age = query / config.tokens() - key / config.tokens();
      if (config.bidirectional || (age >= 0 && age < config.n_window))
        flop += 2 * config.d_model + 2 * config.d_model;
    }
  return flop;
}

double forward_flop(const Config& config, std::int64_t frames) {
  std::int64_t flop = config.n_blocks * looks_flop(config, frames);
  const model::Mmdit network(config);
  for (const auto& weight : network.layout()) {
    std::int64_t numbers = 1;
    for (const auto size : weight.sizes) numbers *= size;
    flop += 2 * frames * meetings(config, weight) * numbers;
  }
  return static_cast<double>(flop);
}

// Of so many frames of the past, the last block's attention and what comes behind it, which nobody does.
double spared_flop(const Config& config, std::int64_t frames) {
  const auto last = "blocks." + std::to_string(config.n_blocks - 1) + ".";
  std::int64_t flop = looks_flop(config, frames);
  const model::Mmdit network(config);
  for (const auto& weight : network.layout())
    if (weight.name.starts_with(last + "geglu") || weight.name.starts_with(last + "selfattn.O") ||
        weight.name.starts_with("unpatch") || weight.name.starts_with("modulation"))
      flop += 2 * frames * meetings(config, weight) * weight.sizes[0] *
              (weight.sizes.size() > 1 ? weight.sizes[1] : 1);
  return static_cast<double>(flop);
}

void expect_counted(const Config& config) {
  for (const std::int64_t frames : {1, 3, 4, 7}) {
    if (config.bidirectional && frames > config.n_window) continue;
    EXPECT_DOUBLE_EQ(model::train_flop(config, frames), 3 * forward_flop(config, frames))
        << config.to_json() << ' ' << frames;
  }
  if (config.bidirectional) return;
  // A frame beside its past sees as many as that does.
  EXPECT_DOUBLE_EQ(model::train_flop(config, 14, 7),
                   3 * (2 * forward_flop(config, 7) - spared_flop(config, 7)));
  // What one more frame costs when the window has long been full.
  EXPECT_DOUBLE_EQ(model::play_flop(config), forward_flop(config, 9) - forward_flop(config, 8));
}

TEST(Flops, AreThoseOfEveryWeightAndEveryLook) {
  const Config tiny{.n_window = 4,
                    .patch_size = 2,
                    .n_heads = 2,
                    .d_model = 16,
                    .n_blocks = 3,
                    .height = 6,
                    .width = 8,
                    .n_registers = 2,
                    .n_past_actions = 2,
                    .expansion = 3};
  auto linear = tiny, both_ways = tiny, normed = tiny, learned = tiny;
  linear.stem = "linear";
  both_ways.bidirectional = true;
  normed.d_model = 64;
  learned.rope_type = "learn";
  for (const auto& config : {tiny, linear, both_ways, normed, learned}) expect_counted(config);
}

}  // namespace
