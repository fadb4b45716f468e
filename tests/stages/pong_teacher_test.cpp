// pong_teacher_test: behind what is no game comes a serve, another game is taken back, and all else stays.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <functional>
#include <string>

#include "stages/data/pixels.h"
#include "stages/model/patch_embed.h"
#include "stages/pong/finder.h"
#include "stages/pong/simulator.h"
#include "stages/types.h"
#include "tests/harness.h"

namespace {

using stages::Clip;
using stages::NoisyPatches;
using stages::Patches;
using tests::Harness;

constexpr const char* top = "{model: {patch_size: 6}}";
constexpr std::int64_t T = 12;

at::Tensor over_patches(const at::Tensor& t) { return t.unsqueeze(-1).unsqueeze(-1); }

// Clips of a game with their past beside them, and what a teacher makes of it when the past is another one.
struct Lesson {
  Lesson() {
    const auto clips = *Harness("pong_clips", "{batch: 4, frames: 12, held_out: 0}", top).run<Clip>(0);
    clean = *Harness("patchify", "{}", top).run<Patches>(0, clips);
    batch = *Harness("logit_normal_noise", "{context: given}").run<NoisyPatches>(0, clean);
  }
  NoisyPatches with_past(const at::Tensor& past) const {
    const auto t = over_patches(batch.t), noise = batch.x_t - (1 - t) * batch.v,
               x0 = torch::cat({past, clean.x}, 1);
    return {(1 - t) * x0 + t * noise, x0 - noise, batch.t, batch.action, T};
  }
  NoisyPatches taught(const at::Tensor& past, const std::string& params = "{}",
                      std::uint64_t number = 0) const {
    Harness teacher("pong_teacher", params, top);
    teacher.start();
    return *teacher.run<NoisyPatches>(number, with_past(past));
  }

  Patches clean;
  NoisyPatches batch;
};

at::Tensor x0_of(const NoisyPatches& batch) { return batch.x_t + over_patches(batch.t) * batch.v; }
at::Tensor past_of(const NoisyPatches& batch) { return x0_of(batch).narrow(1, 0, T); }
at::Tensor data_of(const NoisyPatches& batch) { return x0_of(batch).narrow(1, T, T); }
bool near(const at::Tensor& a, const at::Tensor& b) { return torch::allclose(a, b, 1e-4, 1e-4); }

// [1,P,D]
at::Tensor picture(const pong::Simulator& simulator) {
  const pong::ImageSize size{24, 24};
  const auto frame = torch::empty({1, 24, 24, 3}, torch::kByte);
  pong::render(simulator.state, size, pong::Rendering::area, {frame.data_ptr<std::uint8_t>(), size.bytes()});
  return model::patchify(stages::from_bytes(frame, stages::Background::linear).permute({0, 3, 1, 2}), 6);
}

// The court without a ball: its middle, without the paddles' columns, is background.
at::Tensor without_ball(const at::Tensor& patches) {
  auto frames = model::unpatchify(patches, 24, 24, 6).clone();
  const auto background =
      stages::from_bytes(torch::tensor({6, 24, 24}, torch::kByte), stages::Background::linear);
  frames.slice(-1, 1, 23).copy_(background.view({3, 1, 1}));
  return model::patchify(frames, 6);
}

TEST(PongTeacher, LeavesWhatIsNearTheClip) {
  const Lesson lesson;
  const auto off = lesson.clean.x + 0.02;
  const auto out = lesson.taught(off), in = lesson.with_past(off);
  EXPECT_TRUE(near(out.x_t, in.x_t));
  EXPECT_TRUE(near(out.v, in.v));
  EXPECT_TRUE(out.t.equal(in.t));
  EXPECT_EQ(out.past, T);
  const auto noisy = *Harness("logit_normal_noise").run<NoisyPatches>(0, lesson.clean);
  EXPECT_TRUE(Harness("pong_teacher", "{}", top).run<NoisyPatches>(0, noisy)->x_t.equal(noisy.x_t))
      << "no past";
}

TEST(PongTeacher, TakesAnotherGameBack) {
  const Lesson lesson;
  auto past = lesson.clean.x.clone();
  past[1].slice(0, 5, T).copy_(lesson.clean.x[2].slice(0, 5, T));
  const auto out = lesson.taught(past);
  EXPECT_TRUE(near(past_of(out), lesson.clean.x));
  EXPECT_TRUE(near(data_of(out), lesson.clean.x));
}

TEST(PongTeacher, TakesADriftBack) {
  const Lesson lesson;
  auto past = lesson.clean.x.clone();
  past[1].slice(0, 5, T).add_(0.03);
  const auto out = lesson.taught(past);
  EXPECT_TRUE(near(past_of(out), lesson.clean.x));
  EXPECT_TRUE(near(data_of(out), lesson.clean.x));
  EXPECT_TRUE(near(past_of(lesson.taught(past, "{parted: 0.004}")), past));
}

TEST(PongTeacher, ServesBehindALostBall) {
  const Lesson lesson;
  auto past = lesson.clean.x.clone();
  past[1].slice(0, 5, T).copy_(without_ball(past[1].slice(0, 5, T)));
  const auto out = lesson.taught(past, "{patience: 3}");
  const auto shown = past_of(out)[1], predicted = data_of(out)[1];
  // Lost in frames 5, 6 and 7: there the dream is shown, and behind each of them a serve is what is to be predicted.
  EXPECT_TRUE(near(shown.slice(0, 0, 8), past[1].slice(0, 0, 8)));
  EXPECT_TRUE(near(predicted.slice(0, 0, 6), lesson.clean.x[1].slice(0, 0, 6)));
  const auto serve = picture(pong::Simulator(0));
  for (std::int64_t i = 6; i <= 8; ++i) EXPECT_TRUE(near(predicted.slice(0, i, i + 1), serve)) << i;
  // The game goes on from it, under the clip's actions, and is the past of what follows.
  EXPECT_TRUE(near(shown.slice(0, 8, T), predicted.slice(0, 8, T)));
  int games = 0;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    pong::Simulator simulator(seed);
    bool same = true;
    for (std::int64_t i = 9; i < T; ++i) {
      simulator.step(static_cast<pong::Action>(lesson.clean.action[1][i].item<int>() - 1));
      same = same && near(predicted.slice(0, i, i + 1), picture(simulator));
    }
    games += same;
  }
  EXPECT_GT(games, 0) << "one of the two serves";
  for (const std::int64_t other : {0, 2, 3}) {
    EXPECT_TRUE(near(past_of(out)[other], lesson.clean.x[other]));
    EXPECT_TRUE(near(data_of(out)[other], lesson.clean.x[other]));
  }
}

TEST(PongTeacher, ServesBehindALostPaddleAndASecondBall) {
  const Lesson lesson;
  const auto serve = picture(pong::Simulator(0));
  const auto expect_serve = [&](const std::function<void(at::Tensor frames)>& happens) {
    auto frames = model::unpatchify(lesson.clean.x, 24, 24, 6).clone();
    happens(frames[1].slice(0, 5, T));  // [·,C,H,W]
    const auto out = lesson.taught(model::patchify(frames, 6), "{patience: 1}");
    EXPECT_TRUE(near(data_of(out)[1].slice(0, 0, 6), lesson.clean.x[1].slice(0, 0, 6)));
    EXPECT_TRUE(near(data_of(out)[1].slice(0, 6, 7), serve));
  };
  const auto background =
      stages::from_bytes(torch::tensor({6, 24, 24}, torch::kByte), stages::Background::linear)
          .view({3, 1, 1});
  expect_serve([&](at::Tensor frames) { frames.slice(-1, 23, 24).copy_(background); });
  expect_serve([&](at::Tensor frames) { frames.slice(-1, 0, 1).copy_(background); });
  // Of two places one is far enough from the ball.
  expect_serve([&](at::Tensor frames) {
    frames.slice(-2, 2, 4).slice(-1, 3, 4).fill_(1);
    frames.slice(-2, 20, 22).slice(-1, 3, 4).fill_(1);
  });
}

// What a frame [P,D] shows.
pong::Sight sight_of(const at::Tensor& patches) {
  const auto frame = model::unpatchify(patches, 24, 24, 6).permute({1, 2, 0});
  const auto pixels = stages::to_bytes(frame, stages::Background::linear).contiguous();
  return pong::Finder({24, 24}, pong::Rendering::area).look({pixels.data_ptr<std::uint8_t>(), 24 * 24 * 3});
}

TEST(PongTeacher, SpoilsTheShareOfClipsThatItIsToldAndServesBehind) {
  const Lesson lesson;
  const auto serve = picture(pong::Simulator(0));
  int spoiled = 0, no_ball = 0, two_balls = 0, no_left = 0, no_right = 0;
  for (int seed = 0; seed < 16; ++seed) {
    const auto out = lesson.taught(lesson.clean.x, "{spoiled: 0.5, seed: " + std::to_string(seed) + "}");
    for (std::int64_t b = 0; b < 4; ++b) {
      const auto shown = past_of(out)[b], predicted = data_of(out)[b], clip = lesson.clean.x[b];
      if (near(shown, clip)) continue;
      ++spoiled;
      std::int64_t first = 0, last = 0;
      while (near(shown[first], clip[first])) ++first;
      const auto sight = sight_of(shown[first]);
      no_ball += sight.balls == 0;
      two_balls += sight.balls > 1;
      no_left += !sight.left_paddle;
      no_right += !sight.right_paddle;
      EXPECT_TRUE(near(predicted.slice(0, 0, first + 1), clip.slice(0, 0, first + 1)));
      for (std::int64_t i = first; i < T; ++i)
        if (!near(shown[i], predicted[i])) last = i;
      EXPECT_LT(last - first, 4);
      for (auto i = first + 1; i <= std::min(last + 1, T - 1); ++i)
        EXPECT_TRUE(near(predicted[i].unsqueeze(0), serve)) << i;
    }
  }
  EXPECT_NEAR(spoiled, 32, 12);
  for (const auto kind : {no_ball, two_balls, no_left, no_right}) EXPECT_GT(kind, 2);
}

TEST(PongTeacher, SpoilsClipsWhoseDreamHasLeftThemAsWell) {
  const Lesson lesson;
  auto drifted = lesson.clean.x + 0.02;  // near the clip, until frame 5
  drifted.slice(1, 5, T).add_(0.01);
  const std::string params = "{spoiled: 1}";
  const auto out = lesson.taught(drifted, params), expected = lesson.taught(lesson.clean.x, params);
  EXPECT_TRUE(near(past_of(out).slice(1, 5, T), past_of(expected).slice(1, 5, T)));
  EXPECT_TRUE(near(data_of(out), data_of(expected)));
  EXPECT_FALSE(near(past_of(out).slice(1, 5, T), lesson.clean.x.slice(1, 5, T)));
  int still_dreamed = 0;
  for (std::int64_t b = 0; b < 4; ++b) still_dreamed += near(past_of(out)[b][0], drifted[b][0]);
  EXPECT_GT(still_dreamed, 0);
}

TEST(PongTeacher, SpoilsNoDreamThatIsLost) {
  const Lesson lesson;
  const auto lost = without_ball(lesson.clean.x);
  EXPECT_TRUE(lesson.taught(lost, "{spoiled: 1}").x_t.equal(lesson.taught(lost).x_t));
}

TEST(PongTeacher, SpoilsAsSeedAndNumberSayAndNothingUnlessItIsTold) {
  const Lesson lesson;
  const auto taught = [&](const std::string& params, std::uint64_t number) {
    return lesson.taught(lesson.clean.x, params, number).x_t;
  };
  EXPECT_TRUE(taught("{}", 0).equal(lesson.with_past(lesson.clean.x).x_t));
  EXPECT_TRUE(taught("{spoiled: 1}", 3).equal(taught("{spoiled: 1}", 3)));
  EXPECT_FALSE(taught("{spoiled: 1}", 3).equal(taught("{spoiled: 1}", 4)));
  const auto noisy = *Harness("logit_normal_noise").run<NoisyPatches>(0, lesson.clean);
  EXPECT_TRUE(Harness("pong_teacher", "{spoiled: 1}", top).run<NoisyPatches>(0, noisy)->x_t.equal(noisy.x_t))
      << "no past";
}

TEST(PongTeacher, ShowsALostBallUntilTheEndOfTheClip) {
  const Lesson lesson;
  auto past = lesson.clean.x.clone();
  past[0].slice(0, 10, T).copy_(without_ball(past[0].slice(0, 10, T)));
  const auto out = lesson.taught(past);
  EXPECT_TRUE(near(past_of(out)[0], past[0]));
  EXPECT_TRUE(near(data_of(out)[0].slice(0, 11, T), picture(pong::Simulator(0))));
}

}  // namespace
