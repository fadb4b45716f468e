// command_line_test: the verbs, their exit codes and what they print.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/folder.h"
#include "tests/pipelines/process.h"

namespace {

using tests::Folder;
using tests::run;

TEST(CommandLine, EveryShippedPipelineIsFine) {
  std::vector<std::string> arguments{"check"};
  for (const auto& entry : std::filesystem::directory_iterator(PROJECT_DIR "/pipelines"))
    if (entry.path().extension() == ".yaml") arguments.push_back(entry.path());
  const auto checked = run(arguments);
  EXPECT_EQ(checked.code, 0) << checked.output;
}

TEST(CommandLine, ABrokenPipelineEndsWithTwoAndItsPlaces) {
  const Folder folder;
  std::ofstream(folder / "broken.yaml") << "stages:\n"
                                           "  noise: {type: logit_normal_noise, sdt: 1, from: clips}\n"
                                           "  clips: {type: pong_clip}\n";
  const auto checked = run({"check", (folder / "broken.yaml").string()});
  EXPECT_EQ(checked.code, 2);
  EXPECT_NE(
      checked.output.find("broken.yaml:2:37: stage 'noise': unknown parameter 'sdt'; did you mean 'std'?"),
      std::string::npos)
      << checked.output;
  EXPECT_NE(checked.output.find(
                "broken.yaml:3:17: stage 'clips': unknown type 'pong_clip'; did you mean 'pong_clips'?"),
            std::string::npos)
      << checked.output;
  EXPECT_EQ(run({(folder / "broken.yaml").string()}).code, 2);
}

TEST(CommandLine, AModelThatDoesNotFitTogetherIsRefusedWhereItSaysSo) {
  const auto checked = run({"graph", "pipelines/train.yaml", "--set", "model.d_model=95"});
  EXPECT_EQ(checked.code, 2);
  EXPECT_TRUE(checked.output.starts_with("--set model.d_model=95: block 'model': ")) << checked.output;
}

TEST(CommandLine, BadUsageEndsWithTwo) {
  EXPECT_EQ(run({}).code, 2);
  EXPECT_EQ(run({"check"}).code, 2);
  EXPECT_EQ(run({"pipelines/nowhere.yaml"}).code, 2);
  EXPECT_EQ(run({"pipelines/train.yaml", "--nonsense"}).code, 2);
  EXPECT_EQ(run({"pipelines/train.yaml", "--set", "noise.std"}).code, 2);
  EXPECT_EQ(run({"pipelines/train.yaml", "--headless"}).code, 2);
  EXPECT_EQ(run({"pipelines/train.yaml", "--name", "../x"}).code, 2);
  EXPECT_EQ(run({"pipelines/train.yaml", "--runs", ""}).code, 2);
  EXPECT_EQ(run({"stages", "nothing"}).code, 2);
}

TEST(CommandLine, HelpAndVersionAreThere) {
  const auto help = run({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const auto* verb : {"check", "graph", "stages", "bench", "eval", "ablate"})
    EXPECT_NE(help.output.find(verb), std::string::npos) << help.output;
  EXPECT_EQ(run({"--version"}).output.rfind("worldline ", 0), 0u);
}

TEST(CommandLine, EveryStageExplainsItselfAndItsExampleIsValid) {
  const auto listed = run({"stages", "--json"});
  ASSERT_EQ(listed.code, 0);
  const auto stages = nlohmann::json::parse(listed.output);
  EXPECT_GE(stages.size(), 19u);
  for (const auto& stage : stages) {
    const auto name = stage["name"].get<std::string>();
    EXPECT_FALSE(stage["summary"].get<std::string>().empty()) << name;
    for (const auto& port : stage["inputs"]) EXPECT_FALSE(port["doc"].get<std::string>().empty()) << name;
    for (const auto& port : stage["outputs"]) EXPECT_FALSE(port["doc"].get<std::string>().empty()) << name;
    for (const auto& parameter : stage["parameters"])
      EXPECT_FALSE(parameter["doc"].get<std::string>().empty()) << name;
    // Loose ends are all that may be wrong with an example: its sources do not exist.
    const Folder folder;
    std::ofstream(folder / "example.yaml") << stage["example"].get<std::string>();
    const auto checked = run({"check", (folder / "example.yaml").string()});
    EXPECT_EQ(checked.output.find("parameter"), std::string::npos) << checked.output;
    EXPECT_EQ(checked.output.find("expected"), std::string::npos) << checked.output;
  }
}

TEST(CommandLine, TheSchemaIsJsonAndKnowsEveryStage) {
  const auto schema = run({"stages", "--schema"});
  ASSERT_EQ(schema.code, 0);
  const auto json = nlohmann::json::parse(schema.output);
  EXPECT_TRUE(json["properties"].contains("model"));
  EXPECT_TRUE(json["properties"].contains("seed"));
  const auto text = json["properties"]["stages"].dump();
  for (const auto& stage : nlohmann::json::parse(run({"stages", "--json"}).output))
    EXPECT_NE(text.find("\"const\":" + stage["name"].dump()), std::string::npos) << stage["name"];
}

TEST(CommandLine, AnOverrideSwapsAStage) {
  const auto drawn = run({"graph", "pipelines/play.yaml", "--set", "window.type=count", "--set",
                          "window.from=frames", "--set", "players.from.actions=control"});
  EXPECT_EQ(drawn.code, 0) << drawn.output;
  EXPECT_EQ(drawn.output.find("window ─► ↩ players.actions"), std::string::npos) << drawn.output;
}

TEST(CommandLine, TapsAndInjectedInputsBecomeStages) {
  const tests::Folder folder;
  const auto file = (folder / "p.yaml").string();
  const auto draw = [&](const std::string& lists) {
    std::ofstream(file) << "endpoint: ipc://x\nstages:\n  clock: {type: clock}\n"
                           "  players: {type: players, from: clock}\n  seen: {type: count, from: players}\n"
                        << lists;
    return run({"graph", file});
  };
  const auto drawn = draw(
      "taps: [{edge: players, topic: turns}]\n"
      "inject: [{input: players.actions, topic: presses, endpoint: ipc://y}]\n");
  EXPECT_EQ(drawn.code, 0) << drawn.output;
  EXPECT_NE(drawn.output.find("drop_oldest ─► tap_turns"), std::string::npos) << drawn.output;
  EXPECT_NE(drawn.output.find("inject_presses ─► ↩ players.actions"), std::string::npos) << drawn.output;
  EXPECT_NE(drawn.output.find("clock ─► players"), std::string::npos) << drawn.output;

  const auto refused = [&](const std::string& lists, const std::string& text) {
    const auto said = draw(lists);
    EXPECT_EQ(said.code, 2) << lists;
    EXPECT_NE(said.output.find(text), std::string::npos) << said.output;
  };
  refused("taps: {edge: players}\n", "p.yaml:6:7: 'taps' must be a list");
  refused("taps: [players]\n", "p.yaml:6:8: expected {edge: STAGE, topic: NAME}");
  refused("taps: [{edge: players}]\n", "'topic' is missing");
  refused("taps: [{edge: players, topic: t, color: red}]\n", "unknown key 'color'");
  refused("taps: [{edge: players, topic: t, encoding: png}]\n",
          "encoding png is for frames; 'players' is Turn");
  refused("taps: [{edge: players, topic: t}, {edge: clock, topic: t}]\n", "choose another topic");
  refused("taps: [{edge: nobody, topic: t}]\n", "nobody");
  refused("inject: [{input: players.keys, topic: t, endpoint: ipc://y}]\n",
          "stage 'players' has no input 'keys'");
  refused("inject: [{input: seen.messages, topic: t, endpoint: ipc://y}]\n", "takes anything");
}

}  // namespace
