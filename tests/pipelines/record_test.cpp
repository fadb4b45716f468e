// record_test: an edge is recorded, replayed, cut off and replayed again, from outside.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "tests/folder.h"
#include "tests/pipelines/process.h"

namespace {

using namespace std::chrono_literals;
using tests::Folder;
using tests::Process;
using tests::run;
using tests::SmallDisk;

constexpr auto clips = "  clips: {type: pong_clips, batch: 2, frames: 4}\n";

class Record : public testing::Test {
 protected:
  std::string pipeline(const std::string& name, const std::string& text) const {
    const auto path = (folder / (name + ".yaml")).string();
    std::ofstream(path) << text;
    return path;
  }
  // Clips into `path`, for so many steps.
  std::string recording(const std::string& path, std::int64_t steps) const {
    return pipeline("record", "stop: {steps: " + std::to_string(steps) + "}\nstages:\n" + clips +
                                  "  kept: {type: record, from: clips, path: " + path + "}\n");
  }
  std::string replaying(const std::string& path) const {
    return pipeline("replay", "stages:\n  again: {type: replay, path: " + path +
                                  "}\n"
                                  "  patches: {type: patchify, from: again}\n"
                                  "  seen: {type: count, from: patches}\n");
  }
  std::vector<std::string> in_runs(const std::string& file) const {
    return {file, "--runs", (folder / "runs").string()};
  }

  Folder folder;
};

std::size_t lines_with(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST_F(Record, ReplaysWhatWasRecordedBitForBit) {
  const auto path = (folder / "clips.rec").string();
  const auto recorded = run(in_runs(recording(path, 12)));
  ASSERT_EQ(recorded.code, 0) << recorded.output;
  EXPECT_EQ(lines_with(recorded.output, "wrote 12 messages to " + path), 1u) << recorded.output;
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));

  // The simulator is its own witness: the same clips under the same numbers.
  const auto compared =
      run({pipeline("check", std::string("stages:\n") + clips + "  again: {type: replay, path: " + path +
                                 "}\n"
                                 "  same: {type: check, tolerance: 0, from: {left: again, "
                                 "right: clips}}\n"
                                 "  seen: {type: count, from: again}\n")});
  EXPECT_EQ(compared.code, 0) << compared.output;
  EXPECT_EQ(lines_with(compared.output, "seen: 12 messages"), 1u) << compared.output;
  EXPECT_EQ(
      lines_with(compared.output, "again: 12 messages, recorded from clips.clips (12 arrived, 0 dropped)"),
      1u)
      << compared.output;
}

TEST_F(Record, KilledLeavesWhatCanBeReplayed) {
  const auto path = (folder / "clips.rec").string();
  {
    Process process(in_runs(recording(path, 10'000'000)));
    const std::filesystem::path part = path + ".part";
    std::error_code none;
    for (int look = 0; look < 1000 && !(std::filesystem::file_size(part, none) > 1'000'000 && !none); ++look)
      std::this_thread::sleep_for(10ms);
    process.signal(SIGKILL);
    process.wait();
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  const auto replayed = run({replaying(path + ".part")});
  EXPECT_EQ(replayed.code, 0) << replayed.output;
  const auto number_after = [&](const std::string& words) {
    const auto at = replayed.output.find(words);
    return at == std::string::npos ? -1 : std::atoi(replayed.output.c_str() + at + words.size());
  };
  EXPECT_GT(number_after("seen: "), 10) << replayed.output;
  EXPECT_EQ(number_after("has no end: its "), number_after("seen: ")) << replayed.output;

  const auto missing = run({replaying(path)});
  EXPECT_EQ(missing.code, 1) << missing.output;
  EXPECT_EQ(lines_with(missing.output, "replay.yaml:2:3: stage 'again': " + path + ": no such file"), 1u)
      << missing.output;
}

TEST_F(Record, OntoAFullDiskIsAnErrorAndLeavesNoFinishedName) {
  const SmallDisk disk(256 << 10);
  if (!disk.ready()) GTEST_SKIP() << "mounting a small disk is for root";
  const auto path = disk / "clips.rec";
  const auto recorded = run(in_runs(recording(path.string(), 1000)));
  EXPECT_EQ(recorded.code, 1) << recorded.output;
  EXPECT_EQ(lines_with(recorded.output, "clips.rec.part: cannot write"), 1u) << recorded.output;
  EXPECT_EQ(lines_with(recorded.output, "No space left on device"), 1u) << recorded.output;
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
