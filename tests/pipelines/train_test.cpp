// train_test: a training run from outside: its folder, its loss, Ctrl-C, and the game it has learned.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "stages/model/weights_file.h"
#include "tests/folder.h"
#include "tests/pipelines/process.h"

namespace {

using namespace std::chrono_literals;
using tests::Folder;
using tests::Process;
using tests::run;
using tests::SmallDisk;

std::vector<std::string> tiny(const Folder& runs, std::vector<std::string> more = {}) {
  std::vector<std::string> all{
      "pipelines/train.yaml", "configs/test-tiny.yaml", "--runs", runs.string(), "--name", "t"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// The lines that have this key: `loss` of every step, `val_loss` of the validated ones.
std::vector<nlohmann::json> metrics(const Folder& runs, const char* key = "loss") {
  std::ifstream file(runs / "t/metrics.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);)
    if (auto json = nlohmann::json::parse(line); json.contains(key)) lines.push_back(std::move(json));
  return lines;
}

std::string bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Train, WritesItsFolderAndTheLossFalls) {
  const Folder runs;
  const auto trained = run(
      tiny(runs, {"--set", "stop.steps=60", "--set", "validated.every=25", "--set", "gradients.huber=0"}));
  ASSERT_EQ(trained.code, 0) << trained.output;
  EXPECT_TRUE(std::filesystem::exists(runs / "t/pipeline.yaml"));
  EXPECT_TRUE(std::filesystem::exists(runs / "t/log.txt"));
  const auto lines = metrics(runs);
  ASSERT_EQ(lines.size(), 60u);
  for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i]["step"], i + 1);
  EXPECT_LT(lines.back()["loss"], 0.2 * lines.front()["loss"].get<double>());
  const auto validated = metrics(runs, "val_loss");
  ASSERT_EQ(validated.size(), 3u);
  EXPECT_EQ(validated[0]["step"], 25);
  EXPECT_EQ(validated[2]["step"], 60);
  EXPECT_EQ(validated[2]["val_loss_at"].size(), 6u);
  EXPECT_LT(validated[2]["val_loss"], validated[0]["val_loss"]);
  const auto index = nlohmann::json::parse(std::ifstream(runs / "t/checkpoints/index.json"));
  EXPECT_NEAR(index["best_first"][0]["val_loss"].get<double>(), validated[2]["val_loss"].get<double>(),
              1e-12);
  const auto file = model::load(runs / "t/checkpoints/step-000060.safetensors");
  EXPECT_EQ(file.config.d_model, 48);
  EXPECT_EQ(file.facts.at("step"), "60");

  // The merged pipeline runs as it is, and gives the same numbers.
  const auto again = run({(runs / "t/pipeline.yaml").string(), "--runs", runs.string(), "--name", "u"});
  ASSERT_EQ(again.code, 0) << again.output;
  EXPECT_EQ(bytes(runs / "u/checkpoints/step-000060.safetensors"),
            bytes(runs / "t/checkpoints/step-000060.safetensors"));

  // What was learned plays.
  const auto played =
      run({"pipelines/play.yaml", "--headless", "--set", "stop.steps=20", "--set",
           "denoise.checkpoint=" + (runs / "t").string(), "--runs", runs.string(), "--name", "p"});
  ASSERT_EQ(played.code, 0) << played.output;
  EXPECT_NE(played.output.find("wrote 20 frames to " + (runs / "p/video.mp4").string()), std::string::npos)
      << played.output;
  EXPECT_GT(std::filesystem::file_size(runs / "p/video.mp4"), 1000u);
}

TEST(Train, InterruptedWritesACheckpointAndEndsWellWithinFiveSeconds) {
  const Folder runs;
  Process process(tiny(runs, {"--set", "stop.steps=1000000"}));
  ASSERT_TRUE(process.printed("step ")) << process.output();
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(5s), 0) << process.output();
  const auto lines = metrics(runs);
  ASSERT_FALSE(lines.empty());
  char name[64];
  std::snprintf(name, sizeof name, "t/checkpoints/step-%06d.safetensors", lines.back()["step"].get<int>());
  EXPECT_NO_THROW(model::load(runs / name)) << process.output();
}

TEST(Train, TheSecondInterruptEndsItAtOnce) {
  const Folder runs;
  // One micro-batch of many clips: training looks at the first interrupt only after it.
  Process process(tiny(
      runs, {"--set", "clips.batch=192", "--set", "clips.frames=32", "--set", "gradients.micro_batch=192"}));
  ASSERT_TRUE(process.printed("run folder")) << process.output();
  std::this_thread::sleep_for(3s);
  process.signal(SIGINT);
  ASSERT_TRUE(process.printed("stopping", 2s)) << process.output();
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(1s), 130) << process.output();
}

TEST(Play, AVideoPathBelowAFileIsAnError) {
  const Folder runs;
  ASSERT_EQ(run(tiny(runs, {"--set", "stop.steps=2"})).code, 0);
  const auto played =
      run({"pipelines/play.yaml", "--headless", "--set", "denoise.checkpoint=" + (runs / "t").string(),
           "--runs", runs.string(), "--set", "window.path=/dev/full/video.mp4"});
  EXPECT_EQ(played.code, 1) << played.output;
}

TEST(Play, AVideoThatFillsTheDiskIsAnErrorAndLeavesNoFinishedName) {
  const Folder runs;
  const SmallDisk disk(24 << 10);
  if (!disk.ready()) GTEST_SKIP() << "mounting a small disk is for root";
  ASSERT_EQ(run(tiny(runs, {"--set", "stop.steps=2"})).code, 0);
  const auto played =
      run({"pipelines/play.yaml", "--headless", "--set", "denoise.checkpoint=" + (runs / "t").string(),
           "--runs", runs.string(), "--set", "window.path=" + (disk / "video.mp4").string()});
  EXPECT_EQ(played.code, 1) << played.output;
  EXPECT_NE(played.output.find("is the disk full?"), std::string::npos) << played.output;
  EXPECT_FALSE(std::filesystem::exists(disk / "video.mp4"));
}

TEST(Play, ADisplayThatDoesNotAnswerIsNoDisplay) {
  const Folder runs;
  const std::string old = std::getenv("DISPLAY") ? std::getenv("DISPLAY") : "";
  setenv("DISPLAY", ":987", 1);
  const auto played =
      run({"pipelines/play.yaml", "--runs", runs.string(), "--name", "p", "--set", "stop.steps=5"});
  if (old.empty())
    unsetenv("DISPLAY");
  else
    setenv("DISPLAY", old.c_str(), 1);
  EXPECT_EQ(played.code, 0) << played.output;
  EXPECT_NE(played.output.find("no display"), std::string::npos) << played.output;
}

TEST(Play, NeedsNothingButTheProject) {
  const Folder runs;
  const auto played = run({"pipelines/play.yaml", "--headless", "--runs", runs.string(), "--name", "p",
                           "--set", "stop.steps=30"});
  EXPECT_EQ(played.code, 0) << played.output;
  EXPECT_NE(played.output.find("playing models/pong-small.safetensors"), std::string::npos) << played.output;
}

TEST(Play, WithoutACheckpointSaysWhatToDoAndLeavesNothing) {
  const Folder runs;
  const auto played =
      run({"pipelines/play.yaml", "--headless", "--runs", runs.string(), "--set", "denoise.checkpoint=''"});
  EXPECT_EQ(played.code, 1);
  EXPECT_NE(played.output.find("pipelines/play.yaml:8:3: stage 'denoise': no checkpoint: train one"),
            std::string::npos)
      << played.output;
  EXPECT_TRUE(std::filesystem::is_empty(runs.string()));
}

TEST(Train, ByMinutesIsValidatedAtItsEnd) {
  const Folder runs;
  const auto trained = run({"pipelines/train.yaml", "configs/test-tiny.yaml", "--runs", runs.string(),
                            "--name", "t", "--set", "stop={minutes: 0.05}"});
  ASSERT_EQ(trained.code, 0) << trained.output;
  const auto index = nlohmann::json::parse(std::ifstream(runs / "t/checkpoints/index.json"));
  EXPECT_EQ(index["best_first"][0]["file"], index["latest"]);
  EXPECT_TRUE(index["best_first"][0].contains("val_loss")) << index;
}

TEST(SeedSlow, TheReferencesOwnSetUpTakesAStep) {
  const Folder runs;
  const auto trained =
      run({"pipelines/train.yaml", "configs/seed.yaml", "--runs", runs.string(), "--name", "t", "--set",
           "stop.steps=2", "--set", "clips.batch=1", "--set", "clips.held_out=1"});
  ASSERT_EQ(trained.code, 0) << trained.output;
  const auto lines = metrics(runs);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_NEAR(lines[0]["loss"], 1.4, 0.1);
  EXPECT_EQ(model::load(runs / "t/checkpoints/step-000002.safetensors").config.d_model, 320);
}

}  // namespace
