// kv_cache_test: the ring keeps the newest frames, in view and in order.
#include "stages/model/kv_cache.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace {

using model::Config;
using model::KvCache;

Config three_frames() {
  Config config;
  config.n_window = 3;
  config.n_blocks = 2;
  config.patch_size = 24;
  config.n_heads = 2;
  config.d_model = 64;
  return config;
}

// A frame whose numbers are all `value`.
at::Tensor frame(double value) { return at::full({2, 2, 32}, value); }

std::vector<float> first_of_every_token(const at::Tensor& keys) {
  const at::Tensor column = keys.select(0, 0).select(1, 0).contiguous();
  return {column.data_ptr<float>(), column.data_ptr<float>() + column.numel()};
}

TEST(KvCache, ShowsCommittedFramesAndTheOneUnderEvaluation) {
  KvCache cache(three_frames());
  EXPECT_EQ(first_of_every_token(cache.write(0, frame(1), frame(1)).keys), std::vector<float>({1, 1}));
  EXPECT_EQ(first_of_every_token(cache.write(0, frame(2), frame(2)).keys), std::vector<float>({2, 2}));
  cache.commit(1);
  EXPECT_EQ(cache.frames(), 1);
  EXPECT_EQ(first_of_every_token(cache.write(0, frame(3), frame(3)).values),
            std::vector<float>({2, 2, 3, 3}));
}

TEST(KvCache, EvictsTheOldestAndCountsOn) {
  KvCache cache(three_frames());
  for (int i = 0; i < 5; ++i) {
    cache.write(1, frame(i), frame(i));
    cache.commit(1);
  }
  EXPECT_EQ(cache.frames(), 2);
  EXPECT_EQ(cache.position(), 5);
  std::vector<float> seen = first_of_every_token(cache.write(1, frame(5), frame(5)).keys);
  const std::vector<std::int64_t> order = cache.order();
  for (std::size_t slot = 0; slot < 3; ++slot) EXPECT_EQ(seen[2 * slot], static_cast<float>(3 + order[slot]));
}

TEST(KvCache, ForgetsOnReset) {
  KvCache cache(three_frames());
  cache.write(0, frame(1), frame(1));
  cache.commit(1);
  cache.reset();
  EXPECT_EQ(cache.frames(), 0);
  EXPECT_EQ(cache.write(0, frame(2), frame(2)).keys.size(1), 2);
}

TEST(KvCache, RemembersTheActionsOfFramesInTheWindow) {
  KvCache cache(three_frames());
  const auto write = [&](std::int64_t action) { cache.write({&action, 1}); };
  const auto past = [&] { return std::vector{cache.past_action(1), cache.past_action(2)}; };
  using Actions = std::vector<std::int64_t>;
  EXPECT_EQ(past(), Actions({0, 0}));
  write(9);  // not committed, so forgotten
  for (int i = 1; i <= 5; ++i) {
    write(i);
    EXPECT_EQ(past(), Actions({i - 1, std::max(0, i - 2)}));
    cache.commit(1);
  }
  cache.reset();
  EXPECT_EQ(past(), Actions({0, 0}));
}

TEST(KvCache, OfAWindowOfOneRemembersNothing) {
  Config config = three_frames();
  config.n_window = 1;
  KvCache cache(config);
  cache.write(0, frame(1), frame(1));
  cache.commit(1);
  EXPECT_EQ(cache.frames(), 0);
  EXPECT_EQ(first_of_every_token(cache.write(0, frame(2), frame(2)).keys), std::vector<float>({2, 2}));
}

TEST(KvCache, AllocatesOnce) {
  KvCache cache(three_frames());
  const void* memory = cache.write(0, frame(0), frame(0)).keys.data_ptr();
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(cache.write(0, frame(i), frame(i)).keys.data_ptr(), memory);
    cache.commit(1);
  }
}

}  // namespace
