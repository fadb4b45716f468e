// pong_judge_test: the simulator as its own dream is perfect, and each fault shows in the figures it belongs to.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <deque>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "stages/eval/figures.h"
#include "stages/pong/renderer.h"
#include "stages/pong/simulator.h"
#include "stages/types.h"
#include "tests/harness.h"
#include "tests/stages/run_stub.h"

namespace {

using stages::Frame;
using stages::Truth;
using stages::Turn;
using tests::Harness;
using tests::RunStub;
using Json = nlohmann::json;

constexpr const char* eight_games = "{games: 8, free_games: 0}";

// What somebody dreams: [S,24,24,3], of which the first rows have a truth.
using Dream = std::function<at::Tensor(const Truth&, const Turn&)>;

class PongJudge : public testing::Test {
 protected:
  // Dreams what the trials ask for, and gives the figures; null when none were written.
  Json judge(const std::string& params, const Dream& dream) {
    Harness trials("pong_trials", params);
    Harness judging("pong_judge", "{path: " + path().string() + "}", "{}", &run);
    trials.start();
    judging.start();
    for (std::uint64_t n = 0;; ++n) {
      const auto [turn, truth] = trials.run<Turn, Truth>(n);
      if (trials.ended()) break;
      judging.run<>(n, Frame{dream(*truth, *turn), turn->action, turn->players, n}, *truth);
    }
    judging.finish();
    std::ifstream stream(path());
    return stream ? Json::parse(stream) : Json();
  }
  std::filesystem::path path() const { return run.folder() / "figures.json"; }

  RunStub run;
};

void expect_each(const Json& figure, double number) {
  for (const auto& [at, each] : figure.items()) EXPECT_EQ(each.get<double>(), number) << at;
}

// White, a pixel large, where the ball rarely is.
at::Tensor with_second_ball(const at::Tensor& frames) {
  auto more = frames.clone();
  more.select(1, 3).select(1, 12).fill_(255);
  return more;
}

at::Tensor without_ball(const at::Tensor& frames) {
  auto empty = frames.clone();
  empty.slice(2, 1, 23).copy_(torch::tensor({6, 24, 24}, torch::kByte));
  return empty;
}

TEST_F(PongJudge, FindsNoFaultWithTheSimulator) {
  const auto figures = judge(eight_games, [](const Truth& truth, const Turn&) { return truth.pixels; });
  for (const auto* horizon : {"1", "10", "30", "120"}) {
    EXPECT_EQ(figures.at("psnr_db").at(horizon).get<double>(), 100.0) << horizon;
    EXPECT_LT(figures.at("psnr_db_copy_last").at(horizon).get<double>(), 40) << horizon;
  }
  for (const auto* part : {"early", "late"}) {
    EXPECT_EQ(figures.at("control_accuracy").at(part).get<double>(), 1.0) << part;
    EXPECT_EQ(figures.at("paddle_error_px").at(part).get<double>(), 0.0) << part;
    EXPECT_EQ(figures.at("one_ball").at(part).get<double>(), 1.0) << part;
  }
  EXPECT_EQ(figures.at("action_delay_frames").get<double>(), 0.0);
  for (const auto* horizon : {"5", "10", "20", "30"})
    EXPECT_EQ(figures.at("ball_error_px").at(horizon).get<double>(), 0.0) << horizon;
  EXPECT_EQ(figures.at("bounce_accuracy").get<double>(), 1.0);
  EXPECT_TRUE(figures.at("stable_frames").is_null());
}

TEST_F(PongJudge, ADreamThatStandsStillControlsNothing) {
  const auto figures = judge(eight_games, [](const Truth& truth, const Turn&) { return truth.last; });
  EXPECT_TRUE(figures.at("psnr_db") == figures.at("psnr_db_copy_last"));
  expect_each(figures.at("control_accuracy"), 0);
  expect_each(figures.at("one_ball"), 1);
  EXPECT_EQ(figures.at("action_delay_frames").get<double>(), 10.0);
  EXPECT_EQ(figures.at("bounce_accuracy").get<double>(), 0.0);
  EXPECT_GT(figures.at("ball_error_px").at("10").get<double>(), 2);
}

TEST_F(PongJudge, AFrozenPaddleShowsInItsOwnFigures) {
  const auto figures = judge(eight_games, [](const Truth& truth, const Turn&) {
    auto frames = truth.pixels.clone();
    frames.select(2, 23).copy_(truth.last.select(2, 23));  // the paddle's column
    return frames;
  });
  expect_each(figures.at("control_accuracy"), 0);
  EXPECT_EQ(figures.at("action_delay_frames").get<double>(), 10.0);
  EXPECT_GT(figures.at("paddle_error_px").at("late").get<double>(), 1);
  expect_each(figures.at("one_ball"), 1);
  for (const auto& error : figures.at("ball_error_px")) EXPECT_LT(error.get<double>(), 0.1);
  EXPECT_GT(figures.at("bounce_accuracy").get<double>(), 0.95);
}

TEST_F(PongJudge, AFrameLateIsADelayOfOne) {
  at::Tensor before;
  const auto figures = judge(eight_games, [&](const Truth& truth, const Turn&) {
    const auto late = before.defined() ? before : truth.last;
    before = truth.pixels;
    return late;
  });
  EXPECT_EQ(figures.at("action_delay_frames").get<double>(), 1.0);
  const auto control = figures.at("control_accuracy").at("late").get<double>();
  EXPECT_GT(control, 0.2);
  EXPECT_LT(control, 0.99);
  EXPECT_GT(figures.at("ball_error_px").at("10").get<double>(), 0.7);
  EXPECT_LT(figures.at("ball_error_px").at("10").get<double>(), 1.5);
  // Within one frame is near enough.
  EXPECT_GT(figures.at("bounce_accuracy").get<double>(), 0.9);
  EXPECT_EQ(figures.at("serve_accuracy").get<double>(), 1.0);
}

TEST_F(PongJudge, ThreeFramesLateBouncesLate) {
  std::deque<at::Tensor> before;
  const auto figures = judge(eight_games, [&](const Truth& truth, const Turn&) {
    before.push_back(truth.pixels);
    if (before.size() > 4) before.pop_front();
    return before.size() < 4 ? truth.last : before.front();
  });
  EXPECT_EQ(figures.at("action_delay_frames").get<double>(), 3.0);
  EXPECT_LT(figures.at("bounce_accuracy").get<double>(), 0.1);
  EXPECT_EQ(figures.at("serve_accuracy").get<double>(), 0.0);
}

TEST_F(PongJudge, ASecondBallIsOneTooMany) {
  const auto figures =
      judge(eight_games, [](const Truth& truth, const Turn&) { return with_second_ball(truth.pixels); });
  for (const auto& share : figures.at("one_ball")) EXPECT_LT(share.get<double>(), 0.1);
  expect_each(figures.at("control_accuracy"), 1);
}

TEST_F(PongJudge, AGameWithoutABallHasNoBounces) {
  const auto figures =
      judge(eight_games, [](const Truth& truth, const Turn&) { return without_ball(truth.pixels); });
  expect_each(figures.at("one_ball"), 0);
  EXPECT_EQ(figures.at("bounce_accuracy").get<double>(), 0.0);
  expect_each(figures.at("control_accuracy"), 1);
  // A diagonal.
  EXPECT_NEAR(figures.at("ball_error_px").at("10").get<double>(), 33.9, 0.1);
}

TEST_F(PongJudge, WhatCouldNotBeMeasuredIsNull) {
  const auto figures = judge("{games: 1, frames: 4, free_games: 0}",
                             [](const Truth& truth, const Turn&) { return truth.pixels; });
  EXPECT_TRUE(figures.at("psnr_db").at("10").is_null());
  EXPECT_TRUE(figures.at("control_accuracy").at("late").is_null());
  EXPECT_TRUE(figures.at("ball_error_px").at("5").is_null());
  EXPECT_TRUE(figures.at("bounce_accuracy").is_null());
}

TEST_F(PongJudge, AStoppedRunHasNoFigures) {
  EXPECT_TRUE(judge("{games: 1, frames: 20, free_games: 0}", [&](const Truth& truth, const Turn& turn) {
                if (turn.number == 9) run.stop();
                return truth.pixels;
              }).is_null());
}

// Free games, each a simulator's of its own until its fault begins.
class FreeGames : public PongJudge {
 protected:
  // The figure for games that show `fault` from these frames on.
  double stable(const std::vector<std::uint64_t>& from,
                const std::function<at::Tensor(const at::Tensor&)>& fault) {
    std::vector<pong::Simulator> games;
    for (std::size_t i = 0; i < from.size(); ++i) games.emplace_back(i);
    const auto params =
        "{games: 2, frames: 3, free_games: " + std::to_string(from.size()) + ", free_frames: 100}";
    const auto figures = judge(params, [&](const Truth& truth, const Turn& turn) {
      std::vector<at::Tensor> rows{truth.pixels};
      for (std::size_t i = 0; i < games.size(); ++i) {
        games[i].step(pong::Action::stay);
        const auto frame = torch::empty({1, 24, 24, 3}, torch::kByte);
        pong::render(games[i].state, {}, pong::Rendering::area,
                     {frame.data_ptr<std::uint8_t>(), static_cast<std::size_t>(frame.numel())});
        rows.push_back(turn.number >= from[i] ? fault(frame) : frame);
      }
      ++frames;
      return at::cat(rows);
    });
    return figures.at("stable_frames").get<double>();
  }

  static constexpr std::uint64_t never = 1000;
  int frames = 0;
};

TEST_F(FreeGames, OfTheSimulatorStayGames) {
  EXPECT_EQ(stable({never, never, never}, with_second_ball), 100.0);
  EXPECT_EQ(frames, 100);
}

TEST_F(FreeGames, EndWithTwoBalls) { EXPECT_EQ(stable({never, 20, 40}, with_second_ball), 40.0); }

TEST_F(FreeGames, AreNotWatchedOnceTheMedianIsKnown) {
  EXPECT_EQ(stable({30, 20, 40, never}, with_second_ball), 35.0);
  EXPECT_TRUE(run.stop_token().stop_requested());
}

TEST_F(FreeGames, EndWithAMissingPaddle) {
  EXPECT_EQ(stable({17},
                   [](const at::Tensor& frame) {
                     auto without = frame.clone();
                     without.select(2, 0).copy_(torch::tensor({6, 24, 24}, torch::kByte));
                     return without;
                   }),
            17.0);
}

TEST_F(FreeGames, EndWithStrangeColours) {
  EXPECT_EQ(stable({25},
                   [](const at::Tensor& frame) {
                     auto green = frame.clone();
                     green.slice(1, 2, 4).slice(2, 8, 11).copy_(torch::tensor({0, 255, 0}, torch::kByte));
                     return green;
                   }),
            25.0);
}

TEST_F(FreeGames, EndAfterASecondWithoutABall) { EXPECT_EQ(stable({50}, without_ball), 50.0); }

TEST_F(FreeGames, GoOnWithoutABallForLessThanASecond) { EXPECT_EQ(stable({75}, without_ball), 100.0); }

TEST_F(FreeGames, ForgiveAFlicker) {
  int shown = 0;
  EXPECT_EQ(
      stable({10}, [&](const at::Tensor& frame) { return ++shown <= 2 ? with_second_ball(frame) : frame; }),
      100.0);
}

TEST(PongTrials, GoOnFromTheFramesThatTheyBeginWith) {
  Harness trials("pong_trials", "{games: 2, frames: 3, free_games: 1, free_frames: 5, before: 7}",
                 "{seed: 4}"),
      same("pong_trials", "{games: 2, frames: 3, free_games: 1, free_frames: 5, before: 7}", "{seed: 4}"),
      other("pong_trials", "{games: 2, frames: 3, free_games: 1, free_frames: 5, before: 7}", "{seed: 5}");
  trials.start();
  same.start();
  other.start();
  for (std::uint64_t n = 0; n < 5; ++n) {
    const auto [turn, truth] = trials.run<Turn, Truth>(n);
    const auto [turn_again, truth_again] = same.run<Turn, Truth>(n);
    ASSERT_TRUE(turn && truth && turn_again && truth_again) << n;
    EXPECT_TRUE(turn->action.equal(turn_again->action));
    EXPECT_TRUE(truth->pixels.equal(truth_again->pixels));
    const std::int64_t judged = n < 3 ? 2 : 0;
    EXPECT_EQ(turn->number, n);
    EXPECT_EQ(turn->action.numel(), judged + 1);
    EXPECT_EQ(turn->players.back().session, 2);
    EXPECT_EQ(truth->pixels.sizes(), (std::vector<std::int64_t>{judged, 24, 24, 3}));
    EXPECT_EQ(truth->last.size(0), judged);
    EXPECT_EQ(static_cast<std::int64_t>(truth->steps.size()), judged);
    EXPECT_GE(turn->action.min().item<std::int64_t>(), 1);
    EXPECT_LE(turn->action.max().item<std::int64_t>(), 3);
    EXPECT_EQ(turn->starts.size(), n == 0 ? 3u : 0u);
    if (n > 0) continue;
    EXPECT_EQ(turn->starts[1].frames.sizes(), (std::vector<std::int64_t>{7, 24, 24, 3}));
    EXPECT_TRUE(turn->starts[1].frames[6].equal(truth->last[1]));
    EXPECT_FALSE(turn->starts[0].frames.equal(turn->starts[1].frames));
    const auto [unlike, ignored] = other.run<Turn, Truth>(n);
    EXPECT_FALSE(unlike->starts[0].frames.equal(turn->starts[0].frames));
  }
  trials.run<Turn, Truth>(5);
  EXPECT_TRUE(trials.ended());
}

TEST(PongTrials, RefuseToDoNothing) {
  EXPECT_THROW(Harness("pong_trials", "{games: 0, free_games: 0}").start(), graph::Error);
}

TEST(Stopwatch, WritesHowLongMessagesTook) {
  const RunStub run;
  const auto path = run.folder() / "speed.json";
  Harness watch("stopwatch", "{skip: 0, path: " + path.string() + "}");
  for (std::uint64_t n = 0; n < 4; ++n) watch.run<>(n, graph::Any::of(1));
  watch.finish();
  std::ifstream stream(path);
  const auto figures = Json::parse(stream);
  EXPECT_GT(figures.at("messages_per_second").get<double>(), 0);
  EXPECT_LE(figures.at("p50_ms").get<double>(), figures.at("p99_ms").get<double>());
}

TEST(Figures, MakeALineEach) {
  EXPECT_EQ(stages::table({{"psnr_db", {{"1", 37.3}, {"10", nullptr}}}, {"stable_frames", 10000.0}}),
            "psnr_db                    1 37.3         10 none\n"
            "stable_frames                10000\n");
}

}  // namespace
