// eval_test: a model is measured from outside, twice with the same figures.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/folder.h"
#include "tests/pipelines/process.h"
#include "tests/tiny_model.h"

namespace {

using tests::Folder;
using tests::has;
using tests::run;
using Json = nlohmann::json;

// A network that has learned nothing dreams as deterministically as any.
std::string weights_in(const Folder& folder) {
  const auto path = folder / "w.safetensors";
  tests::save_fresh(path);
  return path.string();
}

std::set<std::string> keys_of(const Json& json) {
  std::set<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  return keys;
}

TEST(Eval, GivesTheSameFiguresEveryTime) {
  const Folder folder;
  const auto weights = weights_in(folder);
  const auto figures = [&](const std::string& name) {
    const auto file = folder / name;
    const auto done = run({"eval", weights, "--quick", "--json", file.string(), "--pipeline",
                           (folder / "measured.yaml").string(), "--set", "device=cpu"});
    EXPECT_EQ(done.code, 0) << done.output;
    for (const auto* line : {"psnr_db_copy_last ", "stable_frames ", "frames_per_second ", "free games: "})
      EXPECT_TRUE(has(done.output, line)) << done.output;
    std::ifstream stream(file);
    return Json::parse(stream);
  };
  auto first = figures("first.json"), second = figures("second.json");

  using Keys = std::set<std::string>;
  EXPECT_EQ(keys_of(first),
            (Keys{"psnr_db", "psnr_db_copy_last", "control_accuracy", "paddle_error_px",
                  "action_delay_frames", "ball_error_px", "one_ball", "bounce_accuracy", "serve_accuracy",
                  "stable_frames", "frames_per_second", "latency_ms", "evaluations_per_frame"}));
  EXPECT_EQ(first.at("evaluations_per_frame"), 2);  // one step and the commit
  for (const auto* figure : {"psnr_db", "psnr_db_copy_last"})
    EXPECT_EQ(keys_of(first.at(figure)), (Keys{"1", "10", "30", "120"})) << figure;
  for (const auto* figure : {"control_accuracy", "paddle_error_px", "one_ball"})
    EXPECT_EQ(keys_of(first.at(figure)), (Keys{"early", "late"})) << figure;
  EXPECT_EQ(keys_of(first.at("ball_error_px")), (Keys{"5", "10", "20", "30"}));
  EXPECT_EQ(keys_of(first.at("frames_per_second")), (Keys{"1", "4", "16", "64"}));
  EXPECT_EQ(keys_of(first.at("latency_ms")), (Keys{"p50", "p99"}));
  for (const auto* figure : {"frames_per_second", "latency_ms"}) {
    for (const auto& each : first.at(figure)) EXPECT_GT(each.get<double>(), 0) << figure;
    first.erase(figure);
    second.erase(figure);
  }
  EXPECT_EQ(first.dump(), second.dump());
  const auto checked = run({"check", (folder / "measured.yaml").string()});
  EXPECT_EQ(checked.code, 0) << checked.output;
}

TEST(Eval, TheModelThatShipsPlaysPong) {
  const Folder folder;
  const auto file = folder / "figures.json";
  const std::string weights = PROJECT_DIR "/models/pong-small.safetensors";
  EXPECT_LE(std::filesystem::file_size(weights), 8 << 20);
  const auto done = run({"eval", weights, "--quick", "--json", file.string(), "--set",
                         "episodes.free_games=0", "--set", "device=cpu"});
  ASSERT_EQ(done.code, 0) << done.output;
  const auto figures = Json::parse(std::ifstream(file));
  EXPECT_GT(figures.at("psnr_db").at("1").get<double>(), 40);
  EXPECT_GT(figures.at("control_accuracy").at("early").get<double>(), 0.98);
  EXPECT_LT(figures.at("ball_error_px").at("10").get<double>(), 0.5);
  EXPECT_GT(figures.at("one_ball").at("early").get<double>(), 0.9);
}

TEST(Eval, IsAPipelineLikeAnyOther) {
  const Folder folder;
  const auto done = run({"pipelines/eval.yaml", "--runs", folder.string(), "--name", "e", "--set",
                         "denoise.checkpoint=" + weights_in(folder), "--set", "device=cpu", "--set",
                         "episodes.games=2", "--set", "episodes.frames=10", "--set", "episodes.free_games=1",
                         "--set", "episodes.free_frames=5"});
  EXPECT_EQ(done.code, 0) << done.output;
  std::ifstream stream(folder / "e/figures.json");
  const auto figures = Json::parse(stream);
  EXPECT_TRUE(figures.at("psnr_db").at("10").is_number()) << figures;
  EXPECT_TRUE(figures.at("psnr_db").at("30").is_null()) << figures;
}

TEST(Eval, TakesWeightsFromPython) {
  const Folder folder;
  const std::string rope = PROJECT_DIR "/tests/golden/rope/";
  std::vector<std::string> arguments{"eval", rope + "model.pt", "--quick"};
  for (const auto* value :
       {"device=cpu", "episodes.games=2", "episodes.frames=10", "episodes.free_games=0"}) {
    arguments.emplace_back("--set");
    arguments.emplace_back(value);
  }
  const auto unknown = run(arguments);
  EXPECT_EQ(unknown.code, 1) << unknown.output;
  EXPECT_TRUE(has(unknown.output, "(--config FILE)")) << unknown.output;
  arguments.insert(arguments.end(), {"--config", rope + "config.json"});
  const auto done = run(arguments);
  EXPECT_EQ(done.code, 0) << done.output;
}

TEST(Eval, SaysWhatIsWrong) {
  const Folder folder;
  const auto nowhere = run({"eval", (folder / "nothing").string()});
  EXPECT_EQ(nowhere.code, 2) << nowhere.output;
  EXPECT_TRUE(has(nowhere.output, "no such file or run folder")) << nowhere.output;
  EXPECT_EQ(run({"eval"}).code, 2);
  const auto weights = weights_in(folder);
  for (const auto* option : {"--json", "--pipeline"})
    EXPECT_EQ(run({"eval", weights, option, (folder / "no/such").string()}).code, 2) << option;
  EXPECT_EQ(run({"eval", weights, "--set", "episodes.gmaes=3"}).code, 2);
}

}  // namespace
