// attention_test: who may see whom, and that scores are not scaled.
#include "stages/model/attention.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "tests/model/golden.h"

namespace {

TEST(FrameMask, IsBlockCausalWithinTheWindow) {
  model::Config config;
  config.patch_size = 24;  // one patch and one register
  config.n_window = 2;
  const at::Tensor visible = model::frame_mask(config, 3).eq(0).to(at::kInt);
  const at::Tensor expected = at::tensor({1, 1, 0, 0, 0, 0,  //
                                          1, 1, 0, 0, 0, 0,  //
                                          1, 1, 1, 1, 0, 0,  //
                                          1, 1, 1, 1, 0, 0,  //
                                          0, 0, 1, 1, 1, 1,  //
                                          0, 0, 1, 1, 1, 1})
                                  .view({6, 6});
  EXPECT_TRUE(at::equal(visible, expected.to(at::kInt))) << visible;
}

// Frames 3, 4 and 5 stand at the times of 0, 1 and 2.
TEST(FrameMask, WithAPastShowsThePastAndOneself) {
  model::Config config;
  config.patch_size = 24;
  config.n_registers = 0;
  config.n_window = 2;
  const at::Tensor visible = model::frame_mask(config, 6, 3).eq(0).to(at::kInt);
  const at::Tensor expected = at::tensor({1, 0, 0, 0, 0, 0,  //
                                          1, 1, 0, 0, 0, 0,  //
                                          0, 1, 1, 0, 0, 0,  //
                                          0, 0, 0, 1, 0, 0,  //
                                          1, 0, 0, 0, 1, 0,  //
                                          0, 1, 0, 0, 0, 1})
                                  .view({6, 6});
  EXPECT_TRUE(at::equal(visible, expected.to(at::kInt))) << visible;
}

TEST(FrameMask, IsUndefinedWhereNothingIsHidden) {
  model::Config config;
  EXPECT_FALSE(model::frame_mask(config, 1).defined());
  config.bidirectional = true;
  EXPECT_FALSE(model::frame_mask(config, 5).defined());
}

TEST(Attend, EqualsTheFormula) {
  const at::Tensor q = at::randn({2, 3, 4, 8}), k = at::randn({2, 3, 6, 8}), v = at::randn({2, 3, 6, 8});
  const at::Tensor bias = at::randn({4, 6});
  const at::Tensor expected = at::matmul(at::softmax(at::matmul(q, k.transpose(2, 3)) + bias, -1), v);
  EXPECT_LT(golden::largest_difference(model::attend(q, k, v, bias), expected), 1e-5);
}

TEST(RmsNorm, HasUnitMeanSquareTimesTheWeight) {
  const at::Tensor x = at::randn({5, 16}) * 7, normed = model::rms_norm(x, at::full({16}, 3.0));
  EXPECT_LT((normed.square().mean(-1) - 9).abs().max().item<float>(), 1e-4);
}

}  // namespace
