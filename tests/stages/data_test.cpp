// data_test: pong_clips, patchify, unpatchify and the pixel map.
#include <gtest/gtest.h>
#include <torch/types.h>

#include "stages/data/pixels.h"
#include "stages/pong/episode.h"
#include "stages/types.h"
#include "tests/harness.h"

namespace {

using stages::Background;
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

TEST(PongClips, WhatIsHeldOutIsTheSameForASeedAndNeverTrainedOn) {
  const auto held_out = [](const std::string& params) {
    return Harness("pong_clips", "{batch: 8, frames: 6, " + params + "}", "{seed: 7}")
        .start<stages::HeldOut>();
  };
  const auto clips = held_out("held_out: 10")->clips;
  EXPECT_EQ(clips.frames.sizes(), (std::vector<std::int64_t>{10, 6, 3, 24, 24}));
  EXPECT_TRUE(clips.frames.equal(held_out("held_out: 10")->clips.frames));
  EXPECT_FALSE(held_out("held_out: 0"));
  Harness source("pong_clips", "{batch: 8, frames: 6}", "{seed: 7}");
  for (std::uint64_t n = 0; n < 10; ++n) {
    const auto trained = clip_of(source, n);
    for (std::int64_t a = 0; a < 8; ++a)
      for (std::int64_t b = 0; b < 10; ++b) EXPECT_FALSE(trained.frames[a].equal(clips.frames[b]));
  }
}

TEST(PongClips, AFrameAnswersToTheActionBeforeIt) {
  Harness source("pong_clips", "{batch: 1, frames: 6}", "{seed: 3}");
  const auto clip = clip_of(source, 4);
  const auto episode = pong::make_episode(3, 4, {.length = 7});
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(clip.action[0][i].item<std::int64_t>(),
              1 + static_cast<int>(episode.actions[static_cast<std::size_t>(i)]));
    const auto pixels =
        stages::to_bytes(clip.frames[0][i].permute({1, 2, 0}), Background::linear).contiguous();
    EXPECT_TRUE(std::equal(pixels.data_ptr<std::uint8_t>(), pixels.data_ptr<std::uint8_t>() + 24 * 24 * 3,
                           episode.frames.begin() + (i + 1) * 24 * 24 * 3))
        << "frame " << i;
  }
}

TEST(PongClips, BeginsTheShareOfItsClipsThatItIsToldBeforeAHit) {
  const auto clips = [](const std::string& hits) {
    return Harness("pong_clips", "{batch: 200, frames: 16, hits: " + hits + "}").run<Clip>(3)->frames;
  };
  const auto same = [](const at::Tensor& a, const at::Tensor& b) {
    return 200 - (a != b).flatten(1).any(1).sum().item<int>();
  };
  const auto usual = clips("0"), some = clips("0.25"), all = clips("1");
  EXPECT_EQ(same(all, usual), 0);
  EXPECT_NEAR(same(some, all), 50, 20);
  EXPECT_EQ(same(some, all) + same(some, usual), 200);
  const auto held_out = [](const std::string& params) {
    return Harness("pong_clips", params).start<stages::HeldOut>()->clips.frames;
  };
  EXPECT_TRUE(held_out("{hits: 1}").equal(held_out("{}"))) << "usual play";
  Harness("pong_clips", "{frames: 7, hits: 1}").start();
  EXPECT_THROW(Harness("pong_clips", "{frames: 6, hits: 1}").start(), graph::Error);
}

TEST(PongClips, RefusesAModelThatIsNotForPong) {
  EXPECT_THROW(Harness("pong_clips", "{}", "{model: {in_channels: 1}}").start(), graph::Error);
  EXPECT_THROW(Harness("pong_clips", "{}", "{model: {n_actions: 3}}").start(), graph::Error);
}

// The number of pixels whose colours are not all of the palette.
std::int64_t mixed_pixels(const Clip& clip) {
  const auto bytes = stages::to_bytes(clip.frames.permute({0, 1, 3, 4, 2}), clip.background).to(torch::kLong);
  const auto code = bytes.select(-1, 0) * 65536 + bytes.select(-1, 1) * 256 + bytes.select(-1, 2);
  const auto pure = (code == 0x061818) | (code == 0xff0000) | (code == 0x00ffff) | (code == 0xffffff);
  return pure.logical_not().sum().item<std::int64_t>();
}

TEST(PongClips, RenderPointShowsPaletteColoursAlone) {
  EXPECT_GT(mixed_pixels(*Harness("pong_clips").run<Clip>(0)), 0);
  EXPECT_EQ(mixed_pixels(*Harness("pong_clips", "{render: point}").run<Clip>(0)), 0);
}

TEST(PongClips, BackgroundZeroGoesThroughAllStagesAndBack) {
  const std::string top = "{seed: 1, model: {background: zero, patch_size: 6}}";
  const auto clip = *Harness("pong_clips", "{render: point, batch: 2, frames: 1}", top).run<Clip>(0);
  EXPECT_EQ(clip.background, Background::zero);
  EXPECT_GT((clip.frames == 0).sum().item<std::int64_t>(), clip.frames.numel() / 2);
  const auto patches = *Harness("patchify", "{}", "{model: {patch_size: 6}}").run<Patches>(0, clip);
  const auto back = *Harness("unpatchify").run<Clip>(0, patches);
  const auto frame =
      *Harness("encode_frame").run<stages::Frame>(0, back, stages::Turn{back.action.squeeze(1)});
  const auto episode = pong::make_episode(1, 1, {.length = 2, .rendering = pong::Rendering::point});
  const auto pixels = frame.pixels[1].contiguous();
  EXPECT_TRUE(std::equal(pixels.data_ptr<std::uint8_t>(), pixels.data_ptr<std::uint8_t>() + 24 * 24 * 3,
                         episode.frames.begin() + 24 * 24 * 3));
}

TEST(Pixels, EveryShadeComesBack) {
  const auto shades = torch::arange(256).to(torch::kByte).unsqueeze(-1);
  const auto values = stages::from_bytes(shades, Background::linear);
  EXPECT_FLOAT_EQ(values.min().item<float>(), -1);
  EXPECT_FLOAT_EQ(values.max().item<float>(), 1);
  EXPECT_TRUE(stages::to_bytes(values, Background::linear).equal(shades));
}

TEST(Pixels, ValuesBeyondTheRangeAreClamped) {
  EXPECT_EQ(stages::to_bytes(torch::tensor({-3.0f}), Background::linear)[0].item<int>(), 0);
  EXPECT_EQ(stages::to_bytes(torch::tensor({3.0f}), Background::linear)[0].item<int>(), 255);
}

TEST(Pixels, BackgroundZeroIsZeroForThatColourAlone) {
  const auto bytes = torch::tensor({6, 24, 24, /**/ 7, 24, 24, /**/ 255, 0, 0}, torch::kByte).view({3, 3});
  const auto values = stages::from_bytes(bytes, Background::zero);
  EXPECT_TRUE(values[0].equal(torch::zeros({3})));
  EXPECT_TRUE(values[1].allclose(torch::tensor({7 / 127.5f - 1, 24 / 127.5f - 1, 24 / 127.5f - 1})));
  EXPECT_TRUE(values[2].equal(torch::tensor({1.0f, -1.0f, -1.0f})));
  EXPECT_TRUE(stages::to_bytes(values, Background::zero).equal(bytes));
}

TEST(Pixels, BackgroundZeroTakesWhatIsNearZeroInAllColoursForTheBackground) {
  const auto values = torch::tensor({0.5f, -0.5f, 0.0f, /**/ 0.51f, 0.0f, 0.0f}).view({2, 3});
  const auto bytes = stages::to_bytes(values, Background::zero);
  EXPECT_TRUE(bytes[0].equal(torch::tensor({6, 24, 24}, torch::kByte)));
  EXPECT_EQ(bytes[1][0].item<int>(), 193);
  EXPECT_EQ(bytes[1][1].item<int>(), 128);
}

TEST(Pixels, BackgroundZeroNeedsThreeColours) {
  EXPECT_THROW(stages::from_bytes(torch::zeros({4, 1}, torch::kByte), Background::zero), graph::Error);
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
