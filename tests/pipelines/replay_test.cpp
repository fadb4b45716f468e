// replay_test: games are served, recorded, dreamed again and trained from, from outside.
#include <gtest/gtest.h>
#include <signal.h>
#include <torch/types.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <optional>
#include <thread>

#include "stages/data/npy.h"
#include "stages/wire/client.h"
#include "tests/folder.h"
#include "tests/pipelines/process.h"
#include "tests/tiny_model.h"

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using tests::Folder;
using tests::has;
using tests::Process;
using tests::run;

// A server whose players dream with a network that has learned nothing: bits are bits.
class Replay : public testing::Test {
 protected:
  void SetUp() override {
    tests::save_fresh(folder / "w.safetensors");
    server.emplace(std::vector<std::string>{"pipelines/serve.yaml", "--set", "endpoint=" + taps(), "--set",
                                            "control.endpoint=" + control(), "--set", "device=cpu", "--set",
                                            "denoise.checkpoint=" + (folder / "w.safetensors").string(),
                                            "--set", "plugins=[" PLUGIN "]"});
    ASSERT_TRUE(server->printed("control: commands at")) << server->output();
  }

  std::string taps() const { return "ipc://" + (folder / "s").string(); }
  std::string control() const { return taps() + ".control"; }
  std::string path(const std::string& name) const { return (folder / name).string(); }

  // A recorder that hears what is sent from now on.
  std::unique_ptr<Process> recording(const std::string& name, std::vector<std::string> more = {}) const {
    std::vector<std::string> all{"record", taps(), path(name)};
    all.insert(all.end(), more.begin(), more.end());
    auto recorder = std::make_unique<Process>(all);
    EXPECT_TRUE(recorder->printed("recording the game at " + taps())) << recorder->output();
    std::this_thread::sleep_for(1s);  // until it is connected, which nobody says
    return recorder;
  }
  static void end(Process& recorder) {
    std::this_thread::sleep_for(1s);  // what is on its way
    recorder.signal(SIGINT);
    EXPECT_EQ(recorder.wait(30s), 0) << recorder.output();
    EXPECT_TRUE(has(recorder.output(), ", 0 missed")) << recorder.output();
  }
  void play(const std::vector<std::string>& what) const {
    std::vector<std::string> all{"act", control()};
    all.insert(all.end(), what.begin(), what.end());
    const auto played = run(all);
    ASSERT_EQ(played.code, 0) << played.output;
  }
  std::int64_t frames_in(const std::string& name) const {
    return stages::NpyFile(folder / name / "frames.npy").shape().at(0);
  }

  Folder folder;
  std::optional<Process> server;
};

TEST_F(Replay, AGameIsRecordedDreamedAgainAndTrainedFrom) {
  const auto files = recording("game"), video = recording("film.mkv");
  play({"60 up, 60 down"});
  end(*files);
  end(*video);
  server->signal(SIGINT);
  EXPECT_EQ(server->wait(30s), 0) << server->output();
  for (const auto* name : {"frames.npy", "actions.npy", "turns.rec", "game.json", "pipeline.yaml"})
    EXPECT_TRUE(fs::exists(folder / "game" / name)) << name;
  const auto N = frames_in("game");
  EXPECT_GE(N, 60);

  // The video holds the same pixels.
  {
    const stages::NpyFile frames(folder / "game/frames.npy");
    cv::VideoCapture reader(path("film.mkv"));
    cv::Mat bgr, rgb;
    std::int64_t read = 0;
    for (; read < N && reader.read(bgr); ++read) {
      cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
      ASSERT_EQ(rgb.total() * rgb.elemSize(), 24u * 24 * 3);
      EXPECT_EQ(std::memcmp(rgb.data, frames.data() + read * 24 * 24 * 3, 24 * 24 * 3), 0) << read;
    }
    EXPECT_EQ(read, N);
    EXPECT_FALSE(reader.read(bgr));
  }

  // What code runs here is not for the server to say, nor for what is in the folder.
  {
    std::ifstream file(folder / "game/pipeline.yaml");
    EXPECT_FALSE(has(std::string(std::istreambuf_iterator<char>(file), {}), "plugins"));
    std::ofstream(folder / "game/pipeline.yaml", std::ios::app) << "plugins: [nowhere.so]\n";
  }
  const auto again = run({"replay", path("game"), "--out", path("again.mkv")});
  EXPECT_EQ(again.code, 0) << again.output;
  EXPECT_TRUE(has(again.output, std::to_string(N) + " frames dreamed again, the same bit for bit"))
      << again.output;
  EXPECT_EQ(static_cast<std::int64_t>(cv::VideoCapture(path("again.mkv")).get(cv::CAP_PROP_FRAME_COUNT)), N);

  const auto trained = run({"pipelines/train_from_files.yaml", "configs/test-tiny.yaml", "--runs",
                            path("runs"), "--name", "t", "--set", "clips.path=" + path("game"), "--set",
                            "clips.episode=" + std::to_string(N), "--set", "stop.steps=1"});
  EXPECT_EQ(trained.code, 0) << trained.output;

  // One bit in one pixel.
  {
    std::fstream file(folder / "game/frames.npy", std::ios::in | std::ios::out | std::ios::binary);
    const auto at = 128 + 7 * 24 * 24 * 3 + 100;
    file.seekg(at);
    const auto byte = static_cast<char>(file.get());
    file.seekp(at);
    file.put(static_cast<char>(byte ^ 1));
  }
  const auto other = run({"replay", path("game")});
  EXPECT_EQ(other.code, 1) << other.output;
  EXPECT_TRUE(has(other.output, "frame 7 differs (number ")) << other.output;
}

// Slow: a game goes on while recorders come.
class ReplaySlow : public Replay {};

TEST_F(ReplaySlow, AGameThatHadBegunIsComparedFromTheNextOn) {
  const auto scripts = std::vector<std::string>{"act", control(), "450 up", "reset", "90 down"};
  Process player(scripts);
  ASSERT_TRUE(player.printed("playing as session")) << player.output();
  std::this_thread::sleep_for(500ms);
  const auto early = recording("early", {"--frames", "30"}), late = recording("late");
  EXPECT_EQ(early->wait(30s), 0) << early->output();
  EXPECT_EQ(frames_in("early"), 30);
  EXPECT_EQ(player.wait(60s), 0) << player.output();
  end(*late);

  const auto middle = run({"replay", path("early")});
  EXPECT_EQ(middle.code, 1) << middle.output;
  EXPECT_TRUE(has(middle.output, "the recording begins in the middle of a game")) << middle.output;

  const auto reset = run({"replay", path("late")});
  EXPECT_EQ(reset.code, 0) << reset.output;
  EXPECT_TRUE(has(reset.output, "are of a game that had begun before: not compared")) << reset.output;
  EXPECT_TRUE(has(reset.output, " frames dreamed again, the same bit for bit")) << reset.output;
  std::ifstream stream(folder / "late/game.json");
  const auto game = nlohmann::json::parse(stream);
  EXPECT_EQ(game.at("games").size(), 1u) << game;
  EXPECT_EQ(game.at("missed").at("turns").get<int>(), 0) << game;
}

TEST_F(Replay, ARecorderThatHearsNoGameLeavesNothing) {
  const auto recorder = recording("game");
  recorder->signal(SIGINT);
  EXPECT_EQ(recorder->wait(30s), 1) << recorder->output();
  EXPECT_TRUE(has(recorder->output(), "nothing was recorded: no frame came from " + taps()))
      << recorder->output();
  EXPECT_FALSE(fs::exists(folder / "game"));
}

TEST_F(Replay, WhoListensToAServerThatIsKilledEndsAndKeepsWhatCame) {
  const auto files = recording("game"), video = recording("film.mkv"),
             idle = recording("idle", {"--session", "9"});
  Process printer({"tap", taps(), "turns"});
  Process player({"act", control(), "600 up"});
  ASSERT_TRUE(printer.printed("\"Turn\"")) << printer.output();
  std::this_thread::sleep_for(1s);
  server->signal(SIGKILL);
  for (auto* listener : {files.get(), video.get(), idle.get(), &printer}) {
    EXPECT_EQ(listener->wait(5s), 1) << listener->output();
    EXPECT_TRUE(has(listener->output(), "endpoint '" + taps() + "': the connection broke"))
        << listener->output();
  }
  EXPECT_TRUE(fs::exists(folder / "film.mkv"));
  EXPECT_FALSE(fs::exists(folder / "idle"));
  EXPECT_GE(frames_in("game"), 15);
  const auto again = run({"replay", path("game")});
  EXPECT_EQ(again.code, 0) << again.output;
}

TEST_F(Replay, WhoListensToAServerThatEndsIsDone) {
  Process printer({"tap", taps(), "turns"});
  // Until it is connected, which nobody says.
  std::this_thread::sleep_for(1s);
  play({"30 up"});
  EXPECT_TRUE(printer.printed("\"Turn\"")) << printer.output();
  server->signal(SIGINT);
  EXPECT_EQ(printer.wait(10s), 0) << printer.output();
  EXPECT_FALSE(has(printer.output(), "the connection broke")) << printer.output();
}

TEST_F(Replay, WhatDependsOnAParameterThatWasChangedMeanwhileIsNotDreamedAgain) {
  stages::Client person(control(), {});
  const auto change = [&](const char* name, int value) {
    person.ask({{"do", "set"}, {"name", name}, {"value", value}});
  };
  const auto changed = recording("changed");
  Process player({"act", control(), "90 up"});
  ASSERT_TRUE(player.printed("playing as session")) << player.output();
  std::this_thread::sleep_for(500ms);
  change("denoise.steps", 2);
  EXPECT_EQ(player.wait(30s), 0) << player.output();
  end(*changed);
  EXPECT_TRUE(has(changed->output(), "changed meanwhile: denoise.steps;")) << changed->output();
  const auto refused = run({"replay", path("changed")});
  EXPECT_EQ(refused.code, 1) << refused.output;
  EXPECT_TRUE(has(refused.output, "'denoise.steps' was changed while this was recorded")) << refused.output;

  // What was changed before is in the recording; the clock makes no frame another one.
  const auto other = recording("other");
  change("clock.rate", 40);
  play({"30 up"});
  end(*other);
  EXPECT_TRUE(has(other->output(), "changed meanwhile: clock.rate;")) << other->output();
  const auto again = run({"replay", path("other")});
  EXPECT_EQ(again.code, 0) << again.output;
}

TEST_F(Replay, ARecorderReplacesNothing) {
  fs::create_directories(folder / "game");
  std::ofstream(folder / "game/mine") << "mine";
  const auto refused = run({"record", taps(), path("game")});
  EXPECT_EQ(refused.code, 2) << refused.output;
  EXPECT_TRUE(has(refused.output, path("game") + " exists; choose another name, or remove it"))
      << refused.output;
}

TEST(ReplayVerbs, SayWhatIsMissing) {
  const Folder folder;
  const auto nobody = run({"record", "ipc://" + (folder / "s").string(), (folder / "game").string()});
  EXPECT_EQ(nobody.code, 1) << nobody.output;
  EXPECT_TRUE(has(nobody.output, "nobody answers at ipc://")) << nobody.output;
  EXPECT_FALSE(fs::exists(folder / "game"));
  const auto nothing = run({"replay", folder.string()});
  EXPECT_EQ(nothing.code, 2) << nothing.output;
  EXPECT_TRUE(has(nothing.output, "has no frames.npy; expected a folder that `./run record"))
      << nothing.output;
}

}  // namespace
