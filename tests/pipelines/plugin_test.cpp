// plugin_test: a stage from outside the tree is explained, checked, trained with and gone on from.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/pipelines/process.h"

namespace {

namespace fs = std::filesystem;
using tests::Folder;
using tests::Result;
using tests::run;

const std::string plugin = PLUGIN;

void expect_in(const Result& said, int code, const std::string& part) {
  EXPECT_EQ(said.code, code) << said.output;
  EXPECT_NE(said.output.find(part), std::string::npos) << "'" << said.output << "' lacks '" << part << "'";
}

std::string bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Checks a pipeline in `folder` that names these plugins.
Result check(const Folder& folder, const std::string& plugins) {
  std::ofstream(folder / "p.yaml") << "plugins: " << plugins
                                   << "\nstages:\n"
                                      "  clips: {type: pong_clips}\n"
                                      "  patches: {type: patchify, from: clips}\n"
                                      "  noise: {type: sine_noise, from: patches}\n"
                                      "  seen: {type: count, from: noise}\n";
  return run({"check", (folder / "p.yaml").string()});
}

TEST(Plugin, ItsStageIsExplainedLikeAnyOther) {
  expect_in(run({"stages", "sine_noise", "--plugin", plugin}), 0, "sine_noise: noise every frame");
  expect_in(run({"stages", "--schema", "--plugin", plugin}), 0, "\"sine_noise\"");
  expect_in(run({"stages", "sine_noise"}), 2, "no stage type 'sine_noise'");
  expect_in(run({"stages", "--plugin", "nowhere.so"}), 2, "plugin 'nowhere.so': no such file");
}

TEST(Plugin, IsNamedFromThePipelinesFolder) {
  const Folder folder;
  fs::copy(plugin, folder / "sine_noise.so");
  expect_in(check(folder, "[sine_noise.so]"), 0, "p.yaml: fine, 4 stages");
  expect_in(check(folder, "[]"), 2, "p.yaml:5:17: stage 'noise': unknown type 'sine_noise'");
}

TEST(Plugin, OfAnotherBuildOrWithANameThatIsTakenIsRefused) {
  const Folder folder;
  fs::copy(plugin, folder / "a.so");
  fs::copy(plugin, folder / "b.so");
  auto old = bytes(plugin);
  const auto mark = old.find("worldline-plugin-abi:");
  ASSERT_NE(mark, std::string::npos);
  auto& last = old[old.find('\0', mark) - 1];
  last = last == '0' ? '1' : '0';
  std::ofstream(folder / "old.so", std::ios::binary) << old;
  expect_in(check(folder, "[old.so]"), 2, "p.yaml:1:11: plugin 'old.so': built for worldline ");
  expect_in(check(folder, "[a.so, b.so]"), 2,
            "p.yaml:1:17: plugin 'b.so': stage type 'sine_noise' is registered already");
}

TEST(Plugin, IsTrainedWithAndLoadedAgainWhereTheRunGoesOn) {
  const Folder runs;
  const auto folder = runs / "t";
  expect_in(run({"pipelines/train.yaml", "configs/test-tiny.yaml", "--runs", runs.string(), "--name", "t",
                 "--set", "plugins=[" + plugin + "]", "--set", "noise.type=sine_noise", "--set",
                 "stop.steps=3", "--set", "clips.batch=4"}),
            0, "saved ");
  EXPECT_NE(bytes(folder / "pipeline.yaml").find("plugins: [" + fs::canonical(plugin).string() + "]"),
            std::string::npos);
  expect_in(run({folder.string(), "--set", "stop.steps=5"}), 0, "going on from step 3");
  EXPECT_TRUE(fs::exists(folder / "checkpoints/step-000005.safetensors"));
}

}  // namespace
