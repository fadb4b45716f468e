// patch_embed_test: patches are the reference's, and come back whole.
#include "stages/model/patch_embed.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "tests/model/golden.h"

namespace {

TEST(Patchify, OrdersNumbersByRowColumnChannel) {
  // Two channels of 4 x 6 pixels, numbered in (channel, y, x) order; patches of 2.
  const at::Tensor patches = model::patchify(at::arange(48).view({2, 4, 6}), 2);
  EXPECT_EQ(patches.sizes(), at::IntArrayRef({6, 8}));
  // Patch 4 is row 1, column 1: its first pixel is (2,2), number 2·6+2.
  const at::Tensor expected = at::tensor({14, 14 + 24, 15, 15 + 24, 20, 20 + 24, 21, 21 + 24});
  EXPECT_TRUE(at::equal(patches[4], expected.to(at::kLong))) << patches[4];
}

TEST(Patchify, ComesBackWhole) {
  const at::Tensor frames = at::rand({2, 3, 3, 12, 24});
  const at::Tensor patches = model::patchify(frames, 6);
  EXPECT_EQ(patches.sizes(), at::IntArrayRef({2, 3, 8, 108}));
  EXPECT_TRUE(at::equal(model::unpatchify(patches, 12, 24, 6), frames));
  EXPECT_TRUE(at::equal(model::unpatchify(model::patchify(frames[0][0], 3), 12, 24, 3), frames[0][0]));
}

TEST(Patchify, WrongShapesAreRefused) {
  const auto text = golden::refusal<std::invalid_argument>([] { model::patchify(at::rand({3, 24, 25}), 6); });
  EXPECT_NE(text.find("[3, 24, 25]"), std::string::npos) << text;
  EXPECT_THROW(model::unpatchify(at::rand({15, 108}), 24, 24, 6), std::invalid_argument);
  EXPECT_THROW(model::unpatchify(at::rand({16, 107}), 24, 24, 6), std::invalid_argument);
}

}  // namespace
