// resume_test: runs that were ended, killed or done go on as if nothing had been.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "stages/model/train_state_file.h"
#include "stages/train/resume_file.h"
#include "tests/folder.h"
#include "tests/pipelines/process.h"

namespace {

using namespace std::chrono_literals;
using tests::Folder;
using tests::Process;
using tests::run;
using tests::SmallDisk;

std::vector<std::string> tiny(const std::string& runs, int steps, std::vector<std::string> more = {}) {
  std::vector<std::string> all{"pipelines/train.yaml",
                               "configs/test-tiny.yaml",
                               "--runs",
                               runs,
                               "--name",
                               "t",
                               "--set",
                               "stop.steps=" + std::to_string(steps),
                               "--set",
                               "saved.every=5",
                               "--set",
                               "clips.batch=4"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void expect_same_state(const std::filesystem::path& a, const std::filesystem::path& b) {
  const auto one = model::load_train_state(a / "checkpoints/resume.safetensors"),
             two = model::load_train_state(b / "checkpoints/resume.safetensors");
  ASSERT_EQ(one.state->step, two.state->step);
  for (std::size_t i = 0; i < one.state->weights.size(); ++i) {
    ASSERT_TRUE(one.state->weights.tensors[i].equal(two.state->weights.tensors[i]))
        << one.state->weights.names[i];
    ASSERT_TRUE(one.state->ema.tensors[i].equal(two.state->ema.tensors[i])) << one.state->weights.names[i];
    ASSERT_TRUE(one.state->first[i].equal(two.state->first[i])) << one.state->weights.names[i];
    ASSERT_EQ(one.state->second[i].defined(), two.state->second[i].defined());
    if (one.state->second[i].defined()) {
      ASSERT_TRUE(one.state->second[i].equal(two.state->second[i])) << one.state->weights.names[i];
    }
  }
}

void expect_a_line_a_step(const std::filesystem::path& folder, int steps) {
  std::ifstream file(folder / "metrics.jsonl");
  int step = 0;
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line);
    if (json.contains("loss")) {
      EXPECT_EQ(json["step"], ++step);
    }
  }
  EXPECT_EQ(step, steps);
}

TEST(Resume, AnInterruptedRunEndsAtTheWeightsOfTheOneThatWasNot) {
  const Folder whole, cut;
  ASSERT_EQ(run(tiny(whole.string(), 60)).code, 0);
  {
    Process process(tiny(cut.string(), 60));
    ASSERT_TRUE(process.printed("saved")) << process.output();
    process.signal(SIGINT);
    ASSERT_EQ(process.wait(), 0) << process.output();
  }
  const auto went_on = run({(cut / "t").string()});
  ASSERT_EQ(went_on.code, 0) << went_on.output;
  EXPECT_NE(went_on.output.find("going on from step"), std::string::npos) << went_on.output;
  expect_same_state(whole / "t", cut / "t");
  expect_a_line_a_step(cut / "t", 60);

  // Done; then longer.
  const auto done = run({(cut / "t").string()});
  EXPECT_EQ(done.code, 0);
  EXPECT_NE(done.output.find("is done, at step 60"), std::string::npos) << done.output;
  const auto longer = run({(cut / "t").string(), "--set", "stop.steps=65"});
  EXPECT_EQ(longer.code, 0) << longer.output;
  expect_a_line_a_step(cut / "t", 65);
  // Shorter changes nothing, not what is written down either.
  EXPECT_EQ(run({(cut / "t").string(), "--set", "stop.steps=9"}).code, 0);
  // What was changed is written down, so the next time it is what the run is.
  EXPECT_NE(run({(cut / "t").string()}).output.find("is done, at step 65"), std::string::npos);
}

TEST(Resume, RefusesWhatCannotChangeOnTheWay) {
  const Folder runs;
  ASSERT_EQ(run(tiny(runs.string(), 5)).code, 0);
  const auto folder = (runs / "t").string();
  const auto refused =
      run({folder, "--set", "noise.std=2", "--set", "model.n_blocks=3", "--set", "stop.steps=9"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.output.find("'stages.noise.std' is 1 in this run, which cannot change it to 2"),
            std::string::npos)
      << refused.output;
  EXPECT_NE(refused.output.find("'model.n_blocks' is 2 in this run"), std::string::npos) << refused.output;
  EXPECT_EQ(refused.output.find("stop"), std::string::npos) << refused.output;
  const auto other = run({folder, "--set", "stepped.type=adamw", "--set", "stop.steps=9"});
  EXPECT_EQ(other.code, 2);
  EXPECT_EQ(other.output.rfind("--set stepped.type=adamw: 'stages.stepped.type' is muon in this run", 0), 0u)
      << other.output;
  EXPECT_EQ(std::count(other.output.begin(), other.output.end(), '\n'), 1) << other.output;
  const auto allowed = run({folder, "--set", "saved.every=2", "--set", "stop.steps=8"});
  EXPECT_EQ(allowed.code, 0) << allowed.output;
  EXPECT_TRUE(std::filesystem::exists(runs / "t/checkpoints/step-000006.safetensors"));
}

TEST(Resume, OneProcessAtATimeWritesARun) {
  const Folder runs;
  Process first(tiny(runs.string(), 1000000));
  ASSERT_TRUE(first.printed("saved")) << first.output();
  const auto second = run({(runs / "t").string()});
  EXPECT_EQ(second.code, 2);
  EXPECT_NE(second.output.find("is being written by another process"), std::string::npos) << second.output;
}

TEST(Resume, FoldersThatAreNoRunsAreRefused) {
  const Folder folder;
  const auto empty = run({folder.string()});
  EXPECT_EQ(empty.code, 2);
  EXPECT_NE(empty.output.find("no pipeline.yaml"), std::string::npos) << empty.output;
}

TEST(Resume, ABrokenStateIsOneClearLine) {
  const Folder runs;
  ASSERT_EQ(run(tiny(runs.string(), 5)).code, 0);
  const auto state = runs / "t/checkpoints/resume.safetensors";
  std::filesystem::resize_file(state, std::filesystem::file_size(state) / 2);
  const auto broken = run({(runs / "t").string(), "--set", "stop.steps=9"});
  EXPECT_EQ(broken.code, 1);
  EXPECT_NE(broken.output.find("resume.safetensors"), std::string::npos) << broken.output;
  EXPECT_NE(broken.output.find("cut off"), std::string::npos) << broken.output;
}

TEST(Resume, StartsANewRunFromOldWeights) {
  const Folder runs;
  ASSERT_EQ(run(tiny(runs.string(), 5)).code, 0);
  const auto fresh = run({"pipelines/train.yaml", "configs/test-tiny.yaml", "--runs", runs.string(), "--name",
                          "u", "--set", "stop.steps=2", "--set", "stepped.init=" + (runs / "t").string()});
  EXPECT_EQ(fresh.code, 0) << fresh.output;
  EXPECT_NE(fresh.output.find("starting from"), std::string::npos) << fresh.output;
}

TEST(FullDisk, EndsTrainingWithOneLineAndWholeFilesWhereverItHappens) {
  // From too small for the pipeline to almost enough for a whole run.
  for (const std::size_t kilobytes : {0, 8, 16, 100, 300, 600, 1000, 1400}) {
    const SmallDisk disk(kilobytes == 0 ? 4096 : kilobytes << 10);
    if (!disk.ready()) GTEST_SKIP() << "mounting a small disk is for root";
    const auto trained = run(tiny(disk.string(), 200, {"--set", "saved.keep=50"}));
    EXPECT_EQ(trained.code, 1) << kilobytes << trained.output;
    EXPECT_TRUE(trained.output.find("No space left") != std::string::npos ||
                trained.output.find("is the disk full?") != std::string::npos)
        << kilobytes << trained.output;
    const auto checkpoints = disk / "t/checkpoints";
    if (!std::filesystem::exists(checkpoints)) continue;
    for (const auto& file : std::filesystem::directory_iterator(checkpoints)) {
      const auto name = file.path().filename().string();
      if (name.starts_with("step-")) {
        EXPECT_NO_THROW(model::load(file.path())) << kilobytes << name;
      } else if (name == "resume.safetensors") {
        EXPECT_NO_THROW(model::load_train_state(file.path())) << kilobytes;
      } else {
        EXPECT_EQ(name, "index.json") << kilobytes;
      }
    }
  }
}

TEST(FullDisk, AFolderThatCannotBeMadeIsOneLine) {
  const auto trained = run(tiny("/dev/null/runs", 5));
  EXPECT_EQ(trained.code, 1);
  EXPECT_NE(trained.output.find("cannot make the run's folder"), std::string::npos) << trained.output;
}

// Slow: `tools/test --all`.
TEST(ResumeSlow, KilledTwentyTimesItEndsAtTheWeightsOfTheUndisturbedRun) {
  constexpr int steps = 1500;
  const Folder whole, killed;
  ASSERT_EQ(run(tiny(whole.string(), steps)).code, 0);
  std::mt19937 random(7);
  std::set<std::uint64_t> reached;
  for (int kills = 0;; ++kills) {
    const bool exists = std::filesystem::exists(killed / "t");
    Process process(exists ? std::vector<std::string>{(killed / "t").string()}
                           : tiny(killed.string(), steps));
    if (kills == 20) {
      ASSERT_EQ(process.wait(), 0) << process.output();
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200 + random() % 1500));
    process.signal(SIGKILL);
    process.wait();
    ASSERT_EQ(process.output().find("is done"), std::string::npos) << "it was too short for twenty kills";
    reached.insert(stages::reached(killed / "t").step);
  }
  // The kills fell into the training, not before it.
  EXPECT_GT(reached.size(), 5u);
  expect_same_state(whole / "t", killed / "t");
  expect_a_line_a_step(killed / "t", steps);
}

}  // namespace
