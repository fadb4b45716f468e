// play_test: the stages of play, one by one.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <torch/types.h>

#include <chrono>
#include <opencv2/videoio.hpp>
#include <thread>

#include "stages/data/pixels.h"
#include "stages/find_checkpoint.h"
#include "stages/model/patch_embed.h"
#include "stages/play/image.h"
#include "stages/play/keyboard.h"
#include "stages/types.h"
#include "tests/harness.h"
#include "tests/stages/run_stub.h"
#include "tests/tiny_model.h"

namespace {

using stages::Action;
using stages::Background;
using stages::Clip;
using stages::Frame;
using stages::Patches;
using stages::Tick;
using stages::Turn;
using tests::Gathered;
using tests::Harness;
using tests::RunStub;
using tests::save_fresh;

using Steady = std::chrono::steady_clock;

TEST(Clock, KeepsItsRateWithoutDrift) {
  Harness clock("clock", "{rate: 200}");
  const auto begin = Steady::now();
  std::uint64_t ticks = 0;
  for (std::uint64_t n = 0; n < 41; ++n) ticks += 1 + clock.run<Tick>(n)->skipped;
  const auto spent = std::chrono::duration<double>(Steady::now() - begin).count();
  // The last tick lies on the grid: 1/200 s for each tick after the first, skipped ones too.
  EXPECT_GE(spent, static_cast<double>(ticks - 1) / 200 - 1e-3);
  EXPECT_LE(spent, static_cast<double>(ticks) / 200 + 0.05);
}

TEST(Clock, SkipsAndCountsWhatCameTooLate) {
  Harness clock("clock", "{rate: 100}");
  clock.run<Tick>(0);
  std::this_thread::sleep_for(std::chrono::milliseconds(55));
  EXPECT_GE(clock.run<Tick>(1)->skipped, 5u);
}

TEST(Clock, EndsWhenAskedToStop) {
  Harness clock("clock", "{rate: 1}");
  clock.run<Tick>(0);
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    clock.stop();
  });
  const auto begin = Steady::now();
  EXPECT_FALSE(clock.run<Tick>(1));
  EXPECT_LT(Steady::now() - begin, std::chrono::milliseconds(900));
  stopper.join();
}

TEST(Players, StayUntilTheyPressAndHoldWhatTheyPress) {
  Harness players("players");
  players.start();
  const auto action = [&](std::uint64_t n, std::vector<Action> pressed) {
    return players.run<Turn>(n, Tick{}, Gathered<Action>{pressed})->action[0].item<std::int64_t>();
  };
  EXPECT_EQ(action(0, {}), 1);
  EXPECT_EQ(action(1, {{2}}), 2);
  EXPECT_EQ(action(2, {}), 2);
  EXPECT_EQ(action(3, {{1}}), 1);
  EXPECT_EQ(action(4, {{3}, {2}}), 2);
}

TEST(Players, APressThatIsOverBeforeTheTickCountsForOneFrame) {
  Harness players("players");
  players.start();
  const auto action = [&](std::uint64_t n, std::vector<Action> pressed) {
    return players.run<Turn>(n, Tick{}, Gathered<Action>{pressed})->action[0].item<std::int64_t>();
  };
  EXPECT_EQ(action(0, {{2}, {1}}), 2);
  EXPECT_EQ(action(1, {}), 1);
}

TEST(Players, BeginAGameAtTheFirstTickAndAtEveryRestart) {
  Harness players("players");
  players.start();
  const auto starts = [&](std::uint64_t n, std::vector<Action> pressed) {
    return players.run<Turn>(n, Tick{}, Gathered<Action>{pressed})->starts;
  };
  ASSERT_EQ(starts(0, {}).size(), 1u);
  EXPECT_TRUE(starts(1, {}).empty());
  const auto again = starts(2, {{.kind = Action::Kind::restart}});
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].game, 1u);
}

TEST(Players, WhilePausedNoTickPasses) {
  Harness players("players");
  players.start();
  const auto run = [&](std::uint64_t n, std::vector<Action> pressed) {
    return players.run<Turn>(n, Tick{}, Gathered<Action>{pressed});
  };
  const Action pause{.kind = Action::Kind::pause}, restart{.kind = Action::Kind::restart};
  EXPECT_TRUE(run(0, {}));
  EXPECT_FALSE(run(1, {pause}));
  EXPECT_FALSE(run(2, {{2}}));
  const auto on = run(3, {pause});
  ASSERT_TRUE(on);
  EXPECT_EQ(on->action[0].item<std::int64_t>(), 2);  // pressed meanwhile, and still held
  EXPECT_FALSE(run(4, {pause}));
  EXPECT_TRUE(run(5, {restart}));
}

TEST(Players, EachHasAGameAndAnActionOfTheirOwn) {
  Harness players("players", "{}", "{local: false}");
  players.start();
  const auto run = [&](std::uint64_t n, std::vector<Action> wanted) {
    return players.run<Turn>(n, Tick{}, Gathered<Action>{wanted});
  };
  const auto join = [](std::int64_t session, std::int64_t game = -1) {
    return Action{.kind = Action::Kind::restart, .session = session, .game = game};
  };
  const auto leave = [](std::int64_t session) {
    return Action{.kind = Action::Kind::leave, .session = session};
  };
  EXPECT_FALSE(run(0, {}));
  // Who is not in cannot act.
  EXPECT_FALSE(run(1, {{.action = 3, .session = 5}}));
  const auto two = run(2, {join(4), join(2, 77), {.action = 3, .session = 4, .act = 9, .arrived_ns = 8}});
  ASSERT_TRUE(two);
  EXPECT_EQ(two->number, 2u);
  EXPECT_TRUE(two->action.equal(torch::tensor({1, 3})));
  ASSERT_EQ(two->players.size(), 2u);
  EXPECT_EQ(two->players[0].session, 2);
  EXPECT_EQ(two->players[1].session, 4);
  EXPECT_EQ(two->players[1].act, 9);
  EXPECT_EQ(two->players[1].arrived_ns, 8);
  ASSERT_EQ(two->starts.size(), 2u);
  EXPECT_EQ(two->starts[0].game, 77u);
  EXPECT_EQ(two->starts[1].game, 0u);
  const auto one = run(3, {leave(2)});
  ASSERT_TRUE(one);
  EXPECT_TRUE(one->action.equal(torch::tensor({3})));
  // The last one's leave is seen once.
  const auto none = run(4, {leave(4)});
  ASSERT_TRUE(none);
  EXPECT_EQ(none->action.numel(), 0);
  EXPECT_FALSE(run(5, {}));
}

TEST(Players, AFrameNamesTheCommandThatChoseItsAction) {
  Harness players("players");
  players.start();
  const auto turn = [&](std::uint64_t n, std::vector<Action> wanted) {
    return *players.run<Turn>(n, Tick{}, Gathered<Action>{wanted});
  };
  const auto tapped = turn(0, {{.action = 2, .act = 1}, {.action = 1, .act = 2}});
  EXPECT_EQ(tapped.action.item<std::int64_t>(), 2);
  EXPECT_EQ(tapped.players[0].act, 1);
  const auto after = turn(1, {});
  EXPECT_EQ(after.action.item<std::int64_t>(), 1);
  EXPECT_EQ(after.players[0].act, 2);
}

TEST(PongPrimer, BeginsGamesWithTheirOwnSimulatorFrames) {
  Harness primer("pong_primer", "{frames: 5, height: 12, width: 18}");
  const auto prime = [&](std::uint64_t game) {
    Turn turn{torch::ones({1}, torch::kLong), {{.session = 0, .game = game}}};
    return primer.run<Turn>(game, turn)->starts.at(0);
  };
  const auto first = prime(0), second = prime(1);
  EXPECT_EQ(first.frames.sizes(), (std::vector<std::int64_t>{5, 12, 18, 3}));
  EXPECT_GE(first.action.min().item<std::int64_t>(), 1);
  EXPECT_LE(first.action.max().item<std::int64_t>(), 3);
  EXPECT_FALSE(first.frames.equal(second.frames));
  EXPECT_TRUE(first.frames.equal(prime(0).frames));
  EXPECT_TRUE(primer.run<Turn>(3, Turn{torch::ones({1}, torch::kLong), {}})->starts.empty());
}

TEST(ScriptedActions, PlaysItsScriptAndStartsOver) {
  Harness script("scripted_actions", "{script: \"2 up, 1 down, 1 none\"}");
  script.start();
  std::string played;
  for (std::uint64_t n = 0; n < 9; ++n)
    played += std::to_string(std::get<0>(script.run<Action, Tick>(n, Tick{}))->action);
  EXPECT_EQ(played, "223022302");
}

TEST(ScriptedActions, RefusesWhatItCannotRead) {
  for (const auto* script : {"\"\"", "up", "\"3 left\"", "\"0 up\"", "\"3 up up\"", "\"-1 up\""})
    EXPECT_THROW(Harness("scripted_actions", std::string("{script: ") + script + "}").start(), graph::Error)
        << script;
}

class EulerDenoiser : public testing::Test {
 protected:
  EulerDenoiser() { save_fresh(run.folder() / "w.safetensors", config); }
  Harness make(const std::string& params = "") {
    return Harness("euler_denoiser",
                   "{checkpoint: " + (run.folder() / "w.safetensors").string() + params + "}",
                   "{seed: 5, device: cpu}");
  }
  static at::Tensor dream(Harness& denoiser, std::uint64_t n, std::int64_t action = 1) {
    return denoiser.run<Patches>(n, Turn{torch::full({1}, action, torch::kLong), {}, {}, n})->x;
  }

  RunStub run;
  model::Config config = tests::tiny_model();
};

TEST_F(EulerDenoiser, DreamsTheSameFramesForTheSameSeedAndActions) {
  auto one = make(), two = make();
  one.start();
  two.start();
  for (std::uint64_t n = 0; n < 8; ++n) {
    const auto x = dream(one, n);
    EXPECT_EQ(x.sizes(), (std::vector<std::int64_t>{1, 1, 16, 108}));
    ASSERT_TRUE(x.equal(dream(two, n))) << n;
  }
}

TEST_F(EulerDenoiser, AFrameAnswersToItsAction) {
  auto one = make(), two = make();
  one.start();
  two.start();
  EXPECT_TRUE(dream(one, 0, 2).equal(dream(two, 0, 2)));
  EXPECT_FALSE(dream(one, 1, 2).equal(dream(two, 1, 3)));
}

TEST_F(EulerDenoiser, ARememberedFrameChangesTheNext) {
  for (const auto* commit : {"last_step", "clean", "renoised"}) {
    auto one = make(std::string(", commit: ") + commit), two = make(std::string(", commit: ") + commit);
    one.start();
    two.start();
    dream(one, 0, 2);
    dream(two, 0, 3);
    EXPECT_FALSE(dream(one, 1).equal(dream(two, 1))) << commit;
  }
}

TEST_F(EulerDenoiser, FramesAreRoundedToShadesBeforeTheyAreRemembered) {
  auto denoiser = make();
  denoiser.start();
  const auto rounded = [](const at::Tensor& x) {
    return stages::from_bytes(stages::to_bytes(x, Background::linear), Background::linear);
  };
  const auto x = dream(denoiser, 0);
  EXPECT_TRUE(x.equal(rounded(x)));
  auto exact = make(", quantize: false");
  exact.start();
  const auto y = dream(exact, 0);
  EXPECT_FALSE(y.equal(x));
  EXPECT_TRUE(rounded(y).equal(x));
}

TEST_F(EulerDenoiser, BackgroundZeroRoundsWholePixels) {
  config.background = "zero";
  save_fresh(run.folder() / "w.safetensors", config);
  auto denoiser = make();
  denoiser.start();
  const auto patches = *denoiser.run<Patches>(0, Turn{torch::ones({1}, torch::kLong)});
  EXPECT_EQ(patches.background, Background::zero);
  const auto pixels = patches.x.view({1, 1, 16, 36, 3});
  EXPECT_TRUE(pixels.equal(stages::from_bytes(stages::to_bytes(pixels, Background::zero), Background::zero)));
  EXPECT_GT(pixels.eq(0).all(-1).sum().item<int>(), 0);
}

TEST_F(EulerDenoiser, OneStepIsThePredictionFromNoise) {
  // With the data predicted and t = 1, z + 1·(x̂0 − z)/1 = x̂0.
  auto denoiser = make(", steps: 1, commit: last_step");
  denoiser.start();
  const auto x = dream(denoiser, 0);
  EXPECT_TRUE(torch::isfinite(x).all().item<bool>());
  EXPECT_GT(x.std().item<float>(), 0);
}

TEST_F(EulerDenoiser, AGameThatBeginsWithFramesIsTheGameThatDreamedThem) {
  // What was dreamed and is given back as a beginning leads to the same memory, so to the same next frame.
  for (const auto* params :
       {", commit: clean", ", commit: clean, guidance: 2", ", commit: clean, context_noise: 0"}) {
    auto one = make(params), two = make(params);
    one.start();
    two.start();
    std::vector<at::Tensor> frames;
    for (std::uint64_t n = 0; n < 3; ++n) frames.push_back(dream(one, n, 2));
    const auto values = model::unpatchify(at::cat(frames, 1), 24, 24, 6)[0];  // [3,C,H,W]
    const stages::Start start{.frames = stages::to_bytes(values.permute({0, 2, 3, 1}), Background::linear),
                              .action = torch::full({3}, 2, torch::kLong)};
    const auto primed = two.run<Patches>(3, Turn{torch::full({1}, 3, torch::kLong), {start}, {}, 3})->x;
    const auto dreamed = dream(one, 3, 3);
    // One pass or three differ in the last digit, which may tip a number into the next shade.
    EXPECT_TRUE(primed.allclose(dreamed, 1e-4, 1 / 127.0)) << params << (primed - dreamed).abs().max();
    EXPECT_LE(primed.ne(dreamed).sum().item<int>(), 3) << params;
    // A game that began with nothing is another.
    auto three = make(params);
    three.start();
    EXPECT_FALSE(dream(three, 3, 3).allclose(dreamed, 1e-4, 0.5 / 127.5)) << params;
  }
}

TEST_F(EulerDenoiser, AnotherSizeOfBeginningIsRefused) {
  auto denoiser = make();
  denoiser.start();
  const stages::Start start{.frames = torch::zeros({3, 12, 24, 3}, torch::kByte),
                            .action = torch::ones({3}, torch::kLong)};
  EXPECT_THROW(denoiser.run<Patches>(0, Turn{torch::ones({1}, torch::kLong), {start}}), graph::Error);
}

TEST_F(EulerDenoiser, GuidanceOneIsNoneAndMoreLeansTowardsTheAction) {
  auto plain = make(", steps: 1, commit: last_step"),
       guided = make(", steps: 1, commit: last_step, guidance: 3"),
       none = make(", steps: 1, commit: last_step");
  for (auto* each : {&plain, &guided, &none}) each->start();
  const auto a = dream(plain, 0, 2), g = dream(guided, 0, 2), n = dream(none, 0, 0);
  // One step from the same noise: x = z + v, so x_guided = x_none + 3 (x_action - x_none).
  EXPECT_TRUE(g.allclose(n + 3 * (a - n), 1e-4, 1e-4)) << (g - n - 3 * (a - n)).abs().max();
  EXPECT_FALSE(a.allclose(n, 1e-4, 1e-4));
}

// The last frames of a game as the beginning of another.
struct Remembered {
  void add(const at::Tensor& x, std::int64_t action) {
    const auto values = model::unpatchify(x, 24, 24, 6)[0];  // [1,C,H,W]
    frames.push_back(stages::to_bytes(values.permute({0, 2, 3, 1}), Background::linear));
    actions.push_back(action);
    if (frames.size() > 3) {
      frames.erase(frames.begin());
      actions.erase(actions.begin());
    }
  }
  stages::Start start() const { return {.frames = at::cat(frames), .action = torch::tensor(actions)}; }

  std::vector<at::Tensor> frames;
  std::vector<std::int64_t> actions;
};

TEST_F(EulerDenoiser, GuidanceMayChangeWhileTheGameGoesOn) {
  auto game = make(", guidance: 1"), guided = make(", guidance: 2");
  game.start();
  guided.start();
  Remembered past;
  for (std::uint64_t n = 0; n < 3; ++n) past.add(dream(game, n, 2), 2);
  game.set("guidance", "2");
  const Turn turn{torch::full({1}, 3, torch::kLong), {past.start()}, {}, 3};
  EXPECT_TRUE(dream(game, 3, 3).equal(guided.run<Patches>(3, turn)->x));
}

TEST_F(EulerDenoiser, ASharedGuidanceCacheTakesTheActionFromThisFrameAlone) {
  // With one step, what is remembered does not depend on what was dreamed, so all three remember the same.
  const std::string base = ", steps: 1, commit: last_step";
  auto plain = make(base), guided = make(base + ", guidance: 3, guidance_cache: shared"), none = make(base),
       own = make(base + ", guidance: 3");
  for (auto* each : {&plain, &guided, &none, &own}) each->start();
  for (std::uint64_t n = 0; n < 5; ++n)
    for (auto* each : {&plain, &guided, &none, &own}) dream(*each, n, 2);
  const auto a = dream(plain, 5, 2), g = dream(guided, 5, 2), n = dream(none, 5, 0), o = dream(own, 5, 2);
  EXPECT_TRUE(g.allclose(n + 3 * (a - n), 1e-4, 1e-4)) << (g - n - 3 * (a - n)).abs().max();
  EXPECT_FALSE(g.allclose(o, 1e-3, 1e-3));
}

TEST_F(EulerDenoiser, ASharedGuidanceCacheKeepsWhatThePlayerDid) {
  auto game = make(", commit: clean, guidance: 2, guidance_cache: shared"), plain = make(", commit: clean");
  game.start();
  plain.start();
  Remembered past;
  for (std::uint64_t n = 0; n < 3; ++n) past.add(dream(game, n, 2), 2);
  game.set("guidance", "1");
  const Turn turn{torch::full({1}, 3, torch::kLong), {past.start()}, {}, 3};
  const auto primed = plain.run<Patches>(3, turn)->x, dreamed = dream(game, 3, 3);
  EXPECT_TRUE(primed.allclose(dreamed, 1e-4, 0.5 / 127.5)) << (primed - dreamed).abs().max();
}

TEST_F(EulerDenoiser, SchedulesDiffer) {
  std::vector<at::Tensor> frames;
  for (const auto* schedule :
       {"", ", schedule: sd3", ", schedule: sd3, spacing: karras", ", schedule: sd3, terminal: 0.2"}) {
    auto denoiser = make(std::string(", commit: last_step, steps: 4") + schedule);
    denoiser.start();
    frames.push_back(dream(denoiser, 0));
  }
  for (std::size_t i = 1; i < frames.size(); ++i) EXPECT_FALSE(frames[i].equal(frames[i - 1])) << i;
}

TEST_F(EulerDenoiser, FollowsTheNewestWeightsOfItsRun) {
  const auto folder = run.folder() / "checkpoints";
  std::filesystem::create_directories(folder);
  const auto save = [&](std::uint64_t seed, const char* name) { save_fresh(folder / name, config, seed); };
  save(3, "step-000001.safetensors");
  const auto follower = [&](const std::string& more) {
    return Harness("euler_denoiser", "{checkpoint: " + run.folder().string() + more + "}",
                   "{seed: 5, device: cpu}");
  };
  auto following = follower(", follow: true"), staying = follower("");
  following.start();
  staying.start();
  dream(following, 0);
  dream(staying, 0);
  save(4, "step-000002.safetensors");
  Remembered past;
  for (std::uint64_t n = 1; n < 400; ++n) {
    const auto x = dream(following, n);
    if (!x.equal(dream(staying, n))) {
      // The new weights remember the frames that the old ones dreamed.
      auto fresh = follower("");
      fresh.start();
      EXPECT_TRUE(
          x.equal(fresh.run<Patches>(n, Turn{torch::ones({1}, torch::kLong), {past.start()}, {}, n})->x));
      return;
    }
    past.add(x, 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  FAIL() << "the new weights did not come";
}

TEST_F(EulerDenoiser, PlayersComeAndGoWithoutAChangeToTheOthers) {
  const auto turn = [](std::vector<std::int64_t> sessions, std::uint64_t n) {
    Turn made{.number = n};
    std::vector<std::int64_t> action;
    for (const auto session : sessions) {
      made.players.push_back({session});
      action.push_back(2);
    }
    made.action = torch::tensor(action, torch::kLong);
    return made;
  };
  auto crowd = make(", steps: 1, commit: last_step"), pair = make(", steps: 1, commit: last_step");
  crowd.start();
  pair.start();
  for (std::uint64_t n = 0; n < 3; ++n) {
    crowd.run<Patches>(n, turn({3, 5, 8}, n));
    pair.run<Patches>(n, turn({3, 8}, n));
  }
  const auto x = crowd.run<Patches>(3, turn({3, 8}, 3))->x, y = pair.run<Patches>(3, turn({3, 8}, 3))->x;
  EXPECT_TRUE(x.allclose(y, 1e-4, 1e-5)) << (x - y).abs().max();
  EXPECT_EQ(crowd.run<Patches>(4, turn({}, 4))->x.size(0), 0);
  // Who comes back begins anew.
  auto fresh = make(", steps: 1, commit: last_step");
  fresh.start();
  EXPECT_TRUE(crowd.run<Patches>(5, turn({3}, 5))->x.equal(fresh.run<Patches>(5, turn({3}, 5))->x));
}

TEST_F(EulerDenoiser, OnlyARunCanBeFollowed) {
  const auto folder = run.folder();
  EXPECT_THROW(
      Harness("euler_denoiser", "{follow: true, checkpoint: " + (folder / "w.safetensors").string() + "}")
          .start(),
      graph::Error);
}

TEST_F(EulerDenoiser, SaysWhatToDoWithoutACheckpoint) {
  Harness denoiser("euler_denoiser");
  try {
    denoiser.start();
    FAIL();
  } catch (const graph::Error& error) {
    EXPECT_NE(std::string(error.what()).find("train one"), std::string::npos) << error.what();
  }
}

TEST(FindCheckpoint, TakesTheNewestOfARunFolder) {
  RunStub run;
  const auto folder = run.folder() / "checkpoints";
  EXPECT_THROW(stages::find_checkpoint(run.folder().string(), "denoise"), graph::Error);
  std::filesystem::create_directories(folder);
  EXPECT_THROW(stages::find_checkpoint(run.folder().string(), "denoise"), graph::Error);
  for (const auto* name :
       {"step-000500.safetensors", "step-1000000.safetensors", "step-999999.safetensors",
        "step-2000000.safetensors.tmp", "step-3000000-copy.safetensors", "other.safetensors"})
    std::fclose(std::fopen((folder / name).c_str(), "w"));
  EXPECT_EQ(stages::find_checkpoint(run.folder().string(), "denoise"), folder / "step-1000000.safetensors");
  EXPECT_EQ(stages::find_checkpoint((folder / "other.safetensors").string(), "denoise"),
            folder / "other.safetensors");
  EXPECT_THROW(stages::find_checkpoint("/nowhere", "denoise"), graph::Error);
}

TEST(EncodeFrame, GivesBytesWithTheColoursLast) {
  const auto values = torch::rand({2, 1, 3, 4, 5}) * 2.2 - 1.1;
  const auto frame = *Harness("encode_frame")
                          .run<Frame>(0, Clip{values, torch::ones({2, 1}, torch::kLong)},
                                      Turn{torch::tensor({1, 2}), {}, {{7}, {9}}, 3});
  EXPECT_EQ(frame.pixels.sizes(), (std::vector<std::int64_t>{2, 4, 5, 3}));
  EXPECT_TRUE(frame.action.equal(torch::tensor({1, 2})));
  EXPECT_EQ(frame.players.at(1).session, 9);
  EXPECT_EQ(frame.number, 3u);
  EXPECT_EQ(frame.pixels[1][2][3][0].item<int>(),
            stages::to_bytes(values[1][0][0][2][3], Background::linear).item<int>());
}

Frame frame_of(int shade, int players = 1) {
  auto pixels = torch::zeros({players, 24, 24, 3}, torch::kByte);
  pixels.select(3, 0).fill_(shade);
  return {pixels, torch::ones({players}, torch::kLong)};
}

TEST(Image, IsBlueGreenRedWithSharpPixelsAndPlayersSideBySide) {
  auto frame = frame_of(200, 2);
  frame.pixels[1][0][0][2] = 77;
  const auto image = stages::to_image(frame, 3);
  EXPECT_EQ(image.rows, 72);
  EXPECT_EQ(image.cols, 144);
  EXPECT_EQ(image.at<cv::Vec3b>(0, 0), cv::Vec3b(0, 0, 200));
  EXPECT_EQ(image.at<cv::Vec3b>(2, 74), cv::Vec3b(77, 0, 200));
  EXPECT_EQ(image.at<cv::Vec3b>(3, 75), cv::Vec3b(0, 0, 200));
}

TEST(VideoFile, HoldsEveryFrameAndHasItsNameOnlyWhenItIsWhole) {
  RunStub run;
  Harness video("video_file", "{scale: 4}", "{}", &run);
  video.start();
  for (std::uint64_t n = 0; n < 10; ++n) video.run<>(n, frame_of(20 * static_cast<int>(n)));
  EXPECT_FALSE(std::filesystem::exists(run.folder() / "video.mp4"));
  video.finish();
  cv::VideoCapture reader((run.folder() / "video.mp4").string());
  cv::Mat image;
  int frames = 0;
  for (; reader.read(image); ++frames) {
    EXPECT_EQ(image.cols, 96);
    EXPECT_NEAR(image.at<cv::Vec3b>(40, 40)[2], 20 * frames, 12) << "frame " << frames;
  }
  EXPECT_EQ(frames, 10);
}

TEST(VideoFile, RefusesOtherFormats) {
  EXPECT_THROW(Harness("video_file", "{path: film.avi}").start(), graph::Error);
}

TEST(Keyboard, KnowsKeysByName) {
  EXPECT_EQ(stages::key_symbol("w"), 'w');
  EXPECT_EQ(stages::key_symbol("Up"), 0xff52);
  EXPECT_EQ(stages::key_symbol("W"), 'w');
  // Qt's codes for some keys are not X11's.
  EXPECT_EQ(stages::pressed_symbol('\r'), stages::key_symbol("Return"));
  EXPECT_EQ(stages::pressed_symbol('\t'), stages::key_symbol("Tab"));
  EXPECT_EQ(stages::pressed_symbol('\b'), stages::key_symbol("BackSpace"));
  EXPECT_EQ(stages::pressed_symbol(-1), -1);
  EXPECT_THROW(stages::key_symbol("Upp"), graph::Error);
}

TEST(Window, RefusesKeysAndActionsThatAreNone) {
  EXPECT_THROW(Harness("window", "{keys: {Upp: up}}").start(), graph::Error);
  EXPECT_THROW(Harness("window", "{keys: {w: left}}").start(), graph::Error);
  EXPECT_THROW(Harness("window", "{keys: {r: up}}").start(), graph::Error);
}

TEST(Window, WithoutADisplaySaysWhatToDo) {
  const std::string old = getenv("DISPLAY") ? getenv("DISPLAY") : "";
  unsetenv("DISPLAY");
  EXPECT_THROW(Harness("window").start(), graph::Error);
  if (!old.empty()) setenv("DISPLAY", old.c_str(), 1);
}

}  // namespace
