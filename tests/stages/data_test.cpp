// data_test: pong_clips, patchify, unpatchify and the pixel map.
#include <gtest/gtest.h>
#include <torch/types.h>

#include "stages/data/pixels.h"
#include "stages/pong/episode.h"
#include "stages/types.h"
#include "tests/harness.h"

namespace {

using stages::Clip;
using stages::Patches;
using tests::Harness;

Clip clip_of(Harness& source, std::uint64_t number) { return *source.run<Clip>(number); }

TEST(PongClips, HasTheShapesItPromises) {
  Harness source("pong_clips", "{batch: 3, frames: 5}");
  const auto clip = clip_of(source, 0);
  EXPECT_EQ(clip.frames.sizes(), (std::vector<std::int64_t>{3, 5, 3, 24, 24}));
  EXPECT_EQ(clip.frames.dtype(), torch::kFloat);
  EXPECT_GE(clip.frames.min().item<float>(), -1);
  EXPECT_LE(clip.frames.max().item<float>(), 1);
  EXPECT_EQ(clip.action.sizes(), (std::vector<std::int64_t>{3, 5}));
  EXPECT_GE(clip.action.min().item<std::int64_t>(), 1);
  EXPECT_LE(clip.action.max().item<std::int64_t>(), 3);
}

TEST(PongClips, AMessageIsAFunctionOfSeedAndNumber) {
  Harness one("pong_clips", "{batch: 2, frames: 4}", "{seed: 7}"),
      two("pong_clips", "{batch: 2, frames: 4}", "{seed: 7}");
  clip_of(one, 0);
  EXPECT_TRUE(clip_of(one, 5).frames.equal(clip_of(two, 5).frames));
  EXPECT_FALSE(clip_of(one, 6).frames.equal(clip_of(two, 5).frames));
  Harness other("pong_clips", "{batch: 2, frames: 4}", "{seed: 8}");
  EXPECT_FALSE(clip_of(other, 5).frames.equal(clip_of(two, 5).frames));
}

TEST(PongClips, AFrameAnswersToTheActionBeforeIt) {
  Harness source("pong_clips", "{batch: 1, frames: 6}", "{seed: 3}");
  const auto clip = clip_of(source, 4);
  const auto episode = pong::make_episode(3, 4, {.length = 7});
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(clip.action[0][i].item<std::int64_t>(),
              1 + static_cast<int>(episode.actions[static_cast<std::size_t>(i)]));
    const auto pixels = stages::to_bytes(clip.frames[0][i].permute({1, 2, 0})).contiguous();
    EXPECT_TRUE(std::equal(pixels.data_ptr<std::uint8_t>(), pixels.data_ptr<std::uint8_t>() + 24 * 24 * 3,
                           episode.frames.begin() + (i + 1) * 24 * 24 * 3))
        << "frame " << i;
  }
}

TEST(PongClips, RefusesAModelThatIsNotForPong) {
  EXPECT_THROW(Harness("pong_clips", "{}", "{model: {in_channels: 1}}").start(), graph::Error);
  EXPECT_THROW(Harness("pong_clips", "{}", "{model: {n_actions: 3}}").start(), graph::Error);
}

TEST(Pixels, EveryShadeComesBack) {
  const auto shades = torch::arange(256).to(torch::kByte);
  const auto values = stages::from_bytes(shades);
  EXPECT_FLOAT_EQ(values.min().item<float>(), -1);
  EXPECT_FLOAT_EQ(values.max().item<float>(), 1);
  EXPECT_TRUE(stages::to_bytes(values).equal(shades));
}

TEST(Pixels, ValuesBeyondTheRangeAreClamped) {
  EXPECT_EQ(stages::to_bytes(torch::tensor({-3.0f}))[0].item<int>(), 0);
  EXPECT_EQ(stages::to_bytes(torch::tensor({3.0f}))[0].item<int>(), 255);
}

TEST(Patchify, KeepsEveryPixelAndUnpatchifyPutsItBack) {
  const Clip clip{torch::randn({2, 3, 3, 24, 24}), torch::randint(1, 4, {2, 3})};
  const auto patches = *Harness("patchify", "{}", "{model: {patch_size: 6}}").run<Patches>(0, clip);
  EXPECT_EQ(patches.x.sizes(), (std::vector<std::int64_t>{2, 3, 16, 108}));
  // Patch 5 is in row 1, column 1; number (row 2, column 4, colour 1) of it is pixel (8, 10).
  EXPECT_EQ(patches.x[1][2][5][(2 * 6 + 4) * 3 + 1].item<float>(), clip.frames[1][2][1][8][10].item<float>());
  const auto back = *Harness("unpatchify").run<Clip>(0, patches);
  EXPECT_TRUE(back.frames.equal(clip.frames));
  EXPECT_TRUE(back.action.equal(clip.action));
}

}  // namespace
