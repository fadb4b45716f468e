// parameters_test: named tensors.
#include "stages/model/parameters.h"

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>

namespace {

using model::Parameters;

Parameters two() {
  Parameters parameters;
  parameters.add("a", at::ones({2, 3}));
  parameters.add("b", at::ones({4}));
  return parameters;
}

TEST(Parameters, AreFoundByName) {
  EXPECT_EQ(two().at("b").numel(), 4);
  EXPECT_EQ(two().count(), 10);
  EXPECT_THROW(two().at("c"), std::invalid_argument);
}

TEST(Parameters, LeavesShareTheNumbersButNotTheGradient) {
  const Parameters weights = two(), leaves = weights.leaves(), others = weights.leaves();
  EXPECT_EQ(leaves.tensors[0].data_ptr(), weights.tensors[0].data_ptr());
  EXPECT_TRUE(leaves.tensors[0].requires_grad());
  EXPECT_FALSE(weights.tensors[0].requires_grad());
  torch::autograd::grad({leaves.tensors[0].sum()}, {leaves.tensors[0]});
  EXPECT_NE(leaves.tensors[0].unsafeGetTensorImpl(), others.tensors[0].unsafeGetTensorImpl());
}

TEST(Parameters, MovingThatChangesNothingShares) {
  const Parameters weights = two();
  EXPECT_EQ(weights.to(at::kCPU, at::kFloat).tensors[1].data_ptr(), weights.tensors[1].data_ptr());
  EXPECT_EQ(weights.to(at::kCPU, at::kDouble).tensors[1].scalar_type(), at::kDouble);
}

}  // namespace
