// game_files_test: games as datasets and as videos without loss.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>

#include "stages/data/npy.h"
#include "stages/debug/recording.h"
#include "stages/play/image.h"
#include "stages/play/rows.h"
#include "stages/types.h"
#include "tests/complaint.h"
#include "tests/harness.h"
#include "tests/stages/run_stub.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using stages::Frame;
using stages::NpyFile;
using stages::Player;
using stages::Turn;
using tests::complaint;
using tests::expect_in;
using tests::Gathered;
using tests::Harness;
using tests::RunStub;

// Random pixels of one player a session, who did the same.
Frame frame_of(std::uint64_t number, std::int64_t action, const std::vector<std::int64_t>& sessions = {5},
               std::int64_t size = 4) {
  const auto S = static_cast<std::int64_t>(sessions.size());
  std::vector<Player> players;
  for (const auto session : sessions) players.push_back({session});
  return {torch::randint(0, 256, {S, size, size, 3}, torch::kByte), torch::full({S}, action, torch::kLong),
          players, number};
}

Turn turn_of(std::uint64_t number, const std::vector<std::int64_t>& begin = {}) {
  Turn turn{torch::ones({1}, torch::kLong), {}, {{5}}, number};
  for (const auto session : begin) turn.starts.push_back({.session = session});
  return turn;
}

class GameFiles : public testing::Test {
 protected:
  Harness make(const std::string& params = "{}") { return Harness("game_files", params, "{}", &run); }
  static void put(Harness& stage, std::uint64_t message, const Frame& frame, std::vector<Turn> turns = {}) {
    stage.run<>(message, frame, Gathered<Turn>{std::move(turns)});
  }
  json description() const {
    std::ifstream stream(run.folder() / "game.json");
    return json::parse(stream);
  }
  bool exists(const std::string& name) const { return fs::exists(run.folder() / name); }
  std::vector<std::int64_t> actions() const {
    const NpyFile file(run.folder() / "actions.npy");
    std::vector<std::int64_t> all;
    for (std::int64_t i = 0; i < file.shape().at(0); ++i) all.push_back(file.integer(i));
    return all;
  }

  RunStub run;
};

TEST_F(GameFiles, HoldFramesAndTheActionsThatLeadToTheNext) {
  auto stage = make();
  stage.start();
  std::vector<Frame> frames;
  for (const std::int64_t action : {2, 3, 1, 2}) {
    frames.push_back(frame_of(10 + frames.size(), action));
    put(stage, frames.size(), frames.back());
  }
  for (const auto* name : {"frames.npy", "actions.npy", "game.json"}) EXPECT_FALSE(exists(name)) << name;
  stage.finish();

  const NpyFile file(run.folder() / "frames.npy");
  EXPECT_EQ(file.dtype(), "|u1");
  ASSERT_EQ(file.shape(), (std::vector<std::int64_t>{4, 4, 4, 3}));
  for (std::size_t k = 0; k < frames.size(); ++k)
    EXPECT_EQ(std::memcmp(file.data() + k * 48, frames[k].pixels.data_ptr(), 48), 0) << k;
  EXPECT_EQ(NpyFile(run.folder() / "actions.npy").dtype(), "<i8");
  EXPECT_EQ(actions(), (std::vector<std::int64_t>{2, 0, 1, 0}));
  EXPECT_EQ(description(), json::parse(R"({"session": 5, "frames": 4, "numbers": [[0, 10]], "games": []})"));
  EXPECT_FALSE(exists("turns.rec"));
  EXPECT_FALSE(exists("rewards.npy"));
}

TEST_F(GameFiles, AreADatasetToTrainFrom) {
  auto stage = make();
  stage.start();
  std::vector<Frame> frames;
  for (std::uint64_t n = 0; n < 3; ++n) {
    frames.push_back(frame_of(n, 1 + static_cast<std::int64_t>(n)));
    put(stage, n, frames.back());
  }
  stage.finish();
  Harness clips("npy_clips",
                "{path: " + run.folder().string() + ", batch: 1, frames: 2, episode: 3, held_out: 0}",
                "{model: {height: 4, width: 4, patch_size: 2}}");
  clips.start<stages::HeldOut>();
  const auto clip = *clips.run<stages::Clip>(0);
  // Each frame with the action that led to it, as it was played.
  EXPECT_TRUE(clip.action.equal(torch::tensor({{2, 3}})));
}

TEST_F(GameFiles, RefuseAFrameWithoutAnAction) {
  auto stage = make();
  stage.start();
  put(stage, 0, frame_of(0, 1));
  expect_in(complaint([&] { put(stage, 1, frame_of(1, 0)); }),
            "frame 1 answers to action 0, none, for which a dataset has no number; play without it");
}

TEST_F(GameFiles, OfSeveralPlayersWantToKnowWhich) {
  auto undecided = make();
  undecided.start();
  expect_in(complaint([&] {
              put(undecided, 0, frame_of(0, 1, {3, 7}));
            }),
            "session: 2 players are in the frame, sessions 3, 7; choose one of them");
}

TEST_F(GameFiles, HoldOnePlayersRowWhileTheyAreThere) {
  auto stage = make("{session: 7}");
  stage.start();
  const auto both = frame_of(4, 2, {3, 7}), alone = frame_of(5, 2, {7});
  put(stage, 0, frame_of(3, 2, {3}));
  put(stage, 1, both);
  put(stage, 2, alone);
  put(stage, 3, frame_of(6, 2, {3}));
  stage.finish();
  const NpyFile file(run.folder() / "frames.npy");
  ASSERT_EQ(file.shape().at(0), 2);
  EXPECT_EQ(std::memcmp(file.data(), both.pixels[1].contiguous().data_ptr(), 48), 0);
  EXPECT_EQ(std::memcmp(file.data() + 48, alone.pixels.data_ptr(), 48), 0);
  EXPECT_EQ(description().at("numbers"), json::parse("[[0, 4]]"));
}

TEST_F(GameFiles, KeepTheTurnsUpToTheLastFrameAndSayWhereGamesBegin) {
  run.edges = {{.from = "taps.frames", .to = "game.frame"}, {.from = "taps.turns", .to = "game.turns"}};
  run.edges[1].counts.arrived = 9;
  auto stage = make();
  stage.start();
  // Turn 20 is another player's; frames 22 and 24 never came; turn 25 comes after its frame; 26 has none yet.
  put(stage, 0, frame_of(21, 1), {turn_of(20, {9}), turn_of(21, {5, 9})});
  put(stage, 1, frame_of(23, 1), {turn_of(22, {5}), turn_of(23), turn_of(24, {5})});
  put(stage, 2, frame_of(25, 1));
  put(stage, 3, frame_of(27, 1), {turn_of(25), turn_of(26), turn_of(27), turn_of(28, {5})});
  stage.finish();

  stages::RecordingReader reader(run.folder() / "turns.rec");
  EXPECT_EQ(reader.head().type, "Turn");
  EXPECT_EQ(reader.head().edge, "taps.turns");
  std::vector<std::uint64_t> numbers;
  while (const auto message = reader.next()) {
    EXPECT_EQ(message->body.as<Turn>().number, message->number);
    numbers.push_back(message->number);
  }
  EXPECT_EQ(numbers, (std::vector<std::uint64_t>{20, 21, 22, 23, 24, 25, 26, 27}));
  ASSERT_TRUE(reader.totals());
  EXPECT_EQ(reader.totals()->arrived, 9u);
  EXPECT_EQ(description(),
            json::parse(R"({"session": 5, "frames": 4, "numbers": [[0, 21], [1, 23], [2, 25], [3, 27]],
                            "games": [0, 1, 2]})"));
}

TEST_F(GameFiles, EndTheRunAfterSoManyFrames) {
  auto stage = make("{frames: 2}");
  stage.start();
  put(stage, 0, frame_of(0, 1));
  EXPECT_FALSE(run.stop_token().stop_requested());
  put(stage, 1, frame_of(1, 1));
  EXPECT_TRUE(run.stop_token().stop_requested());
  put(stage, 2, frame_of(2, 1));
  stage.finish();
  EXPECT_EQ(description().at("frames").get<int>(), 2);
}

TEST_F(GameFiles, AreThereWhateverStoppedTheRun) {
  auto stage = make();
  stage.start();
  put(stage, 0, frame_of(0, 1));
  run.stop();
  stage.finish();
  EXPECT_EQ(description().at("frames").get<int>(), 1);
}

TEST_F(GameFiles, OfARunThatFailsElsewhereAreThereUpToThen) {
  auto stage = make();
  stage.start();
  put(stage, 0, frame_of(0, 1), {turn_of(0, {5})});
  put(stage, 1, frame_of(1, 2), {turn_of(1)});
  run.broken = true;
  stage.finish();
  EXPECT_EQ(description().at("frames").get<int>(), 2);
  EXPECT_EQ(actions().size(), 2u);
  EXPECT_TRUE(exists("turns.rec"));
}

TEST_F(GameFiles, WithoutAFrameThereAreNone) {
  {
    auto stage = make();
    stage.start();
    stage.finish();
  }
  EXPECT_TRUE(fs::is_empty(run.folder()));
}

TEST_F(GameFiles, NeverReplaceOthers) {
  for (const auto* name : {"frames.npy", "turns.rec", "game.json"}) {
    std::ofstream(run.folder() / name) << "mine";
    expect_in(complaint([&] { make().start(); }),
              std::string(name) + " exists; choose another folder, or remove it");
    fs::remove(run.folder() / name);
  }
}

TEST_F(GameFiles, OfFramesThatChangeTheirSizeAreRefused) {
  auto stage = make();
  stage.start();
  put(stage, 0, frame_of(0, 1));
  expect_in(complaint([&] { put(stage, 1, frame_of(1, 1, {5}, 6)); }), "with the same H, W and C");
}

TEST(Rows, BelongToSessions) {
  auto frame = frame_of(3, 1, {4, 8});
  EXPECT_EQ(stages::sessions_of(frame), (std::vector<std::int64_t>{4, 8}));
  const auto second = stages::of_session(frame, 8);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->pixels.equal(frame.pixels.narrow(0, 1, 1)));
  EXPECT_EQ(second->players.at(0).session, 8);
  EXPECT_EQ(second->number, 3u);
  EXPECT_FALSE(stages::of_session(frame, 1));
  frame.players.clear();
  EXPECT_TRUE(stages::of_session(frame, 1));
  frame.players.resize(3);
  EXPECT_THROW(stages::sessions_of(frame), graph::Error);
}

class LosslessVideo : public testing::Test {
 protected:
  std::string path() const { return (run.folder() / "film.mkv").string(); }
  Harness make(const std::string& more = "") {
    return Harness("video_file", "{path: " + path() + more + "}", "{}", &run);
  }
  // Every frame of the file, BGR.
  std::vector<cv::Mat> images() const {
    cv::VideoCapture reader(path());
    std::vector<cv::Mat> all;
    for (cv::Mat image; reader.read(image);) all.push_back(image.clone());
    return all;
  }

  RunStub run;
};

TEST_F(LosslessVideo, HoldsEveryBitOfEveryFrame) {
  auto video = make();
  video.start();
  std::vector<Frame> frames;
  for (std::uint64_t n = 0; n < 40; ++n) {
    frames.push_back(frame_of(n, 1, {0, 1}, 24));
    video.run<>(n, frames.back());
  }
  EXPECT_FALSE(fs::exists(path()));
  video.finish();
  const auto read = images();
  ASSERT_EQ(read.size(), frames.size());
  for (std::size_t k = 0; k < frames.size(); ++k) {
    const auto image = stages::to_image(frames[k], 1);
    ASSERT_EQ(read[k].size(), image.size());
    EXPECT_EQ(cv::norm(read[k], image, cv::NORM_INF), 0) << k;
  }
}

TEST_F(LosslessVideo, ShowsOnePlayerAloneAndEndsInTime) {
  auto video = make(", session: 7, frames: 2");
  video.start();
  const auto first = frame_of(1, 1, {3, 7}, 24), second = frame_of(2, 1, {7}, 24);
  video.run<>(0, frame_of(0, 1, {3}, 24));
  video.run<>(1, first);
  EXPECT_FALSE(run.stop_token().stop_requested());
  video.run<>(2, second);
  EXPECT_TRUE(run.stop_token().stop_requested());
  video.run<>(3, frame_of(3, 1, {7}, 24));
  video.finish();
  const auto read = images();
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(cv::norm(read[0], stages::to_image(*stages::of_session(first, 7), 1), cv::NORM_INF), 0);
  EXPECT_EQ(cv::norm(read[1], stages::to_image(second, 1), cv::NORM_INF), 0);
}

TEST_F(LosslessVideo, RefusesWhatItWouldCutOrStretch) {
  auto odd = make();
  odd.start();
  expect_in(complaint([&] { odd.run<>(0, frame_of(0, 1, {0}, 25)); }),
            "a video of 25 x 25 pixels: expected even numbers; set an even scale");
  auto growing = make();
  growing.start();
  growing.run<>(0, frame_of(0, 1, {0}, 24));
  expect_in(complaint([&] {
              growing.run<>(1, frame_of(1, 1, {0, 1}, 24));
            }),
            "2 players now, and a video keeps its size; choose one with session: N");
}

}  // namespace
