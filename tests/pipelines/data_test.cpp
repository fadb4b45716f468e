// data_test: datasets from outside: made, trained from, and what happens when the disk says no.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/folder.h"
#include "tests/pipelines/process.h"

namespace {

namespace fs = std::filesystem;
using tests::Folder;
using tests::run;
using tests::SmallDisk;

// Four episodes of 40 frames into `folder`.
tests::Result make_dataset(const Folder& runs, const std::string& folder,
                           std::vector<std::string> more = {}) {
  std::vector<std::string> all{"pipelines/dataset.yaml", "--runs", runs.string(),  "--set",
                               "episodes.frames=40",     "--set",  "stop.steps=4", "--set",
                               "files.folder=" + folder};
  all.insert(all.end(), more.begin(), more.end());
  return run(all);
}

bool says(const tests::Result& result, const std::string& text) {
  return result.output.find(text) != std::string::npos;
}

TEST(Data, ADatasetIsMadeAndTrainedFrom) {
  const Folder runs;
  const auto set = (runs / "set").string();
  const auto made = make_dataset(runs, set);
  ASSERT_EQ(made.code, 0) << made.output;
  EXPECT_TRUE(says(made, "160 frames, 4 episodes, written in ")) << made.output;
  EXPECT_TRUE(says(made, "flushing it to disk took ")) << made.output;
  EXPECT_EQ(fs::file_size(set + "/frames.npy"), 128u + 160 * 24 * 24 * 3);
  EXPECT_EQ(fs::file_size(set + "/actions.npy"), 128u + 160 * 8);
  EXPECT_EQ(fs::file_size(set + "/rewards.npy"), 128u + 160 * 4);

  const auto trained =
      run({"pipelines/train_from_files.yaml", "configs/test-tiny.yaml", "--runs", runs.string(), "--name",
           "t", "--set", "clips.path=" + set, "--set", "clips.episode=40", "--set", "stop.steps=2"});
  EXPECT_EQ(trained.code, 0) << trained.output;
  EXPECT_TRUE(says(trained, "15 clips of 8 frames to train on, 1 held out, in " + set)) << trained.output;
  EXPECT_TRUE(fs::exists(runs / "t/checkpoints/step-000002.safetensors"));

  const auto again = make_dataset(runs, set);
  EXPECT_EQ(again.code, 1) << again.output;
  EXPECT_TRUE(says(again, "frames.npy exists; choose another folder, or remove it")) << again.output;
  EXPECT_EQ(fs::file_size(set + "/frames.npy"), 128u + 160 * 24 * 24 * 3);
}

TEST(Data, TheRunFolderIsTheDefault) {
  const Folder runs;
  const auto made = run({"pipelines/dataset.yaml", "--runs", runs.string(), "--name", "d", "--set",
                         "episodes.frames=10", "--set", "stop.steps=1"});
  EXPECT_EQ(made.code, 0) << made.output;
  for (const auto* name : {"frames.npy", "actions.npy", "rewards.npy", "pipeline.yaml"})
    EXPECT_TRUE(fs::exists(runs / "d" / name)) << name;
}

TEST(Data, AFullDiskIsOneLineAndLeavesNothing) {
  const Folder runs;
  const SmallDisk disk(128 << 10);
  if (!disk.ready()) GTEST_SKIP() << "mounting a small disk is for root";
  const auto made = make_dataset(runs, disk.string());
  EXPECT_EQ(made.code, 1) << made.output;
  EXPECT_TRUE(says(made, "frames.npy.part: cannot write: No space left on device")) << made.output;
  EXPECT_TRUE(fs::is_empty(disk.string()));
}

TEST(Data, AFolderThatCannotBeMadeIsOneLine) {
  const Folder runs;
  const auto made = make_dataset(runs, "/dev/null/set");
  EXPECT_EQ(made.code, 1) << made.output;
  EXPECT_TRUE(says(made, "cannot make the folder /dev/null/set")) << made.output;
  EXPECT_TRUE(fs::is_empty(runs.string()));
}

TEST(Data, AFolderThatCannotBeWrittenIsOneLine) {
  const Folder runs;
  const auto made = make_dataset(runs, "/proc");
  EXPECT_EQ(made.code, 1) << made.output;
  EXPECT_TRUE(says(made, "/proc/frames.npy.part: cannot open")) << made.output;
  EXPECT_TRUE(fs::is_empty(runs.string()));
}

TEST(Data, WithoutAPathTrainingSaysWhatToDo) {
  const Folder runs;
  const auto trained = run({"pipelines/train_from_files.yaml", "--runs", runs.string()});
  EXPECT_EQ(trained.code, 1);
  EXPECT_TRUE(says(trained,
                   "stage 'clips': no dataset: name a folder with frames.npy and actions.npy, --set "
                   "clips.path=FOLDER; ./run pipelines/dataset.yaml makes one"))
      << trained.output;
  EXPECT_TRUE(fs::is_empty(runs.string()));
}

TEST(Data, ABrokenFileIsNamedBeforeTrainingStarts) {
  const Folder runs;
  std::ofstream(runs / "frames.npy") << "version https://git-lfs.github.com/spec/v1\n";
  const auto trained = run({"pipelines/train_from_files.yaml", "--runs", runs.string(), "--name", "t",
                            "--set", "clips.path=" + runs.string()});
  EXPECT_EQ(trained.code, 1);
  EXPECT_TRUE(says(trained, (runs / "frames.npy").string() + ": not a .npy file")) << trained.output;
  EXPECT_FALSE(fs::exists(runs / "t"));
}

}  // namespace
