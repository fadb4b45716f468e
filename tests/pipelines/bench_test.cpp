// bench_test: what `bench` takes, and what its JSON holds.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/folder.h"
#include "tests/pipelines/process.h"

namespace {

using nlohmann::json;
using tests::Folder;
using tests::run;

TEST(Bench, WritesItsFigures) {
  const Folder folder;
  const auto file = (folder / "figures.json").string();
  const auto ran = run({"bench", "train", "play", "sampling", "data", "--config", "configs/test-tiny.yaml",
                        "--batch", "2", "--seconds", "0.2", "--json", file});
  ASSERT_EQ(ran.code, 0) << ran.output;
  std::ifstream stream(file);
  const auto figures = json::parse(stream);
  EXPECT_EQ(figures["config"].get<std::string>(), "test-tiny");
  for (const auto* path : {"/peak_gflops",
                           "/peak_gflops_one_core",
                           "/train/tokens_per_second",
                           "/train/frames_per_second",
                           "/train/share_of_peak",
                           "/train/step_share_of_peak",
                           "/train/gflop_per_frame",
                           "/train/peak_memory_gb",
                           "/train/ms/optimizer",
                           "/train/ms/data/clips",
                           "/train/share_of_step/optimizer_and_data",
                           "/train/one_clip_on_one_core/backward_ms",
                           "/play/frames_per_second",
                           "/play/tokens_per_second",
                           "/play/share_of_peak",
                           "/play/latency_ms/p50",
                           "/play/latency_ms/p99",
                           "/play/ms/euler_step",
                           "/play/ms/commit",
                           "/play/renoised/frames_per_second",
                           "/sampling/1/frames_per_second",
                           "/sampling/64/share_of_peak",
                           "/data/simulator",
                           "/data/clips"}) {
    const json::json_pointer pointer(path);
    ASSERT_TRUE(figures.contains(pointer)) << path;
    EXPECT_GT(figures[pointer].get<double>(), 0) << path;
  }
  EXPECT_EQ(figures["train"]["batch"].get<int>(), 2);
  EXPECT_FALSE(figures.contains("graph"));
}

TEST(Bench, SmallIsTheNetworkThatTheReadmesFiguresAreOf) {
  const Folder folder;
  const auto file = (folder / "figures.json").string();
  const auto ran = run({"bench", "train", "--batch", "1", "--seconds", "0.1", "--json", file});
  ASSERT_EQ(ran.code, 0) << ran.output;
  std::ifstream stream(file);
  // Of 6 blocks, 128 wide, expansion 4, whatever cpu-small, over which it is laid, comes to be.
  EXPECT_NEAR(json::parse(stream)["train"]["mflop_per_token"].get<double>(), 23.25, 0.05);
}

TEST(Bench, BadUsageEndsWithTwoBeforeAnythingIsMeasured) {
  EXPECT_EQ(run({"bench", "nothing"}).code, 2);
  EXPECT_EQ(run({"bench", "train", "--batch", "0"}).code, 2);
  EXPECT_EQ(run({"bench", "train", "--seconds", "-1"}).code, 2);
  const auto ran = run({"bench", "data", "--config", "configs/nowhere.yaml"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE(ran.output.find("configs/nowhere.yaml"), std::string::npos) << ran.output;
  EXPECT_EQ(ran.output.find("simulator"), std::string::npos) << ran.output;
  EXPECT_EQ(run({"bench", "data", "--json", "nowhere/figures.json"}).code, 2);
}

}  // namespace
