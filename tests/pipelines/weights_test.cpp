// weights_test: weights from Python and back, and the verbs that look at them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/folder.h"
#include "tests/pipelines/process.h"
#include "tests/tiny_model.h"

namespace {

using tests::Folder;
using tests::has;
using tests::run;
namespace fs = std::filesystem;

const std::string golden = PROJECT_DIR "/tests/golden/", rope = golden + "rope/", python = rope + "model.pt",
                  config = rope + "config.json";

std::string bytes_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(Verify, SaysWhetherTheReferencesNumbersAreMet) {
  const auto schedules = run({"verify", golden + "schedules.json"});
  EXPECT_EQ(schedules.code, 0) << schedules.output;
  EXPECT_TRUE(has(schedules.output, "trajectories")) << schedules.output;
  const Folder folder;
  std::ofstream(folder / "off.json")
      << R"({"toy": [{"steps": 2, "shift": 3.0, "sigmas": [1.0, 0.7501, 0.0]}]})";
  const auto off = run({"verify", (folder / "off.json").string()});
  EXPECT_EQ(off.code, 1) << off.output;
  EXPECT_TRUE(has(off.output, "DISAGREES (shifted_linear 2: 1.0e-04)\n1 of 1 groups disagree")) << off.output;
  EXPECT_EQ(run({"verify", folder.string()}).code, 1);
  EXPECT_EQ(run({"verify", (folder / "nothing").string()}).code, 2);
}

TEST(Schedule, PrintsTheLevels) {
  const auto sd3 = run({"schedule", "sd3", "--steps", "4"});
  EXPECT_EQ(sd3.code, 0);
  EXPECT_TRUE(has(sd3.output, "   3   0.008929   0.008929\n   4   0.000000\n")) << sd3.output;
  const auto custom = run({"schedule", "--levels", "1,0.25,0", "custom"});
  EXPECT_EQ(custom.code, 0) << custom.output;
  EXPECT_TRUE(has(custom.output, "   1   0.250000   0.250000\n   2   0.000000\n")) << custom.output;
  EXPECT_EQ(run({"schedule", "custom"}).code, 2);
  EXPECT_EQ(run({"schedule", "linear", "--rho", "3"}).code, 2);
  EXPECT_EQ(run({"schedule", "sd4"}).code, 2);
  EXPECT_EQ(run({"schedule", "sd3", "--steps", "0"}).code, 2);
  EXPECT_EQ(run({"schedule", "sd3", "--terminal", "1"}).code, 2);
  EXPECT_EQ(run({"schedule", "sd3", "--shift", "inf"}).code, 2);
  EXPECT_EQ(run({"schedule", "shifted_linear", "--spacing", "karras"}).code, 2);
}

TEST(Convert, WantsToKnowWhatAPythonCheckpointIs) {
  const Folder folder;
  const auto out = (folder / "w.safetensors").string();
  const auto unknown = run({"convert", python, out});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_TRUE(has(unknown.output, "name the config that it was trained with (--config FILE)"))
      << unknown.output;
  const auto other = run({"convert", python, out, "--config", PROJECT_DIR "/configs/cpu-small.yaml"});
  EXPECT_EQ(other.code, 1);
  EXPECT_TRUE(has(other.output, "missing: ") && has(other.output, "too many: ") &&
              has(other.output, " instead of "))
      << other.output;
  EXPECT_EQ(run({"convert", python, (folder / "w.pt").string(), "--config", config}).code, 2);
  EXPECT_EQ(run({"convert", python, out, "--config", PROJECT_DIR "/pipelines/play.yaml"}).code, 2);
  EXPECT_FALSE(fs::exists(out));
}

TEST(Convert, MakesAFileThatSaysWhatItIs) {
  const Folder folder;
  const auto out = (folder / "w.safetensors").string();
  ASSERT_EQ(run({"convert", python, out, "--config", config}).code, 0);
  const auto shown = run({"inspect", out});
  EXPECT_TRUE(has(shown.output, "  d_model: 64\n") && has(shown.output, "51 tensors, 304844 numbers, 1.2 MB"))
      << shown.output;
  const auto other = (folder / "other.safetensors").string();
  EXPECT_EQ(run({"convert", out, other, "--config", PROJECT_DIR "/configs/cpu-small.yaml"}).code, 1);
  EXPECT_EQ(run({"convert", out, out}).code, 2);
  EXPECT_EQ(run({"convert", out, folder.string()}).code, 2);
  EXPECT_EQ(run({"convert", "", out}).code, 2);
}

TEST(Average, IsTheMeanOfEachNumber) {
  const Folder folder;
  const auto save = [&](const std::string& name, float number, const model::Config& of) {
    auto weights = model::Mmdit(of).initialise(0);
    for (auto& tensor : weights.tensors) tensor = torch::full_like(tensor, number);
    model::save(folder / name, of, weights, {{"step", "7"}});
    return (folder / name).string();
  };
  const auto a = save("a.safetensors", 1, tests::tiny_model()),
             b = save("b.safetensors", 3, tests::tiny_model()), out = (folder / "out.safetensors").string();
  const auto averaged = run({"average", a, b, b, "--out", out});
  ASSERT_EQ(averaged.code, 0) << averaged.output;
  const auto mean = model::load(out);
  for (const auto& tensor : mean.parameters.tensors)
    EXPECT_TRUE(tensor.equal(torch::full_like(tensor, 7.0 / 3)));
  EXPECT_EQ(mean.config, tests::tiny_model());
  EXPECT_EQ(mean.facts, (model::Facts{{"average_of", "3"}}));

  auto wider = tests::tiny_model();
  wider.expansion *= 2;
  const auto other = run({"average", a, save("wider.safetensors", 1, wider), "--out", out});
  EXPECT_EQ(other.code, 2);
  EXPECT_TRUE(has(other.output, "wider.safetensors and ") && has(other.output, " are not of one model"))
      << other.output;
  EXPECT_EQ(run({"average", a, "--out", out}).code, 2);
  EXPECT_EQ(run({"average", a, b}).code, 2);
  const auto own = run({"average", a, b, "--out", b});
  EXPECT_EQ(own.code, 2);
  EXPECT_TRUE(has(own.output, "b.safetensors is one of the files that are read")) << own.output;
  fs::create_directory(folder / "taken.safetensors");
  const auto taken = run({"average", a, b, "--out", (folder / "taken.safetensors").string()});
  EXPECT_EQ(taken.code, 2);
  EXPECT_TRUE(has(taken.output, "taken.safetensors is no regular file")) << taken.output;
  const auto ending = run({"average", a, b, "--out", (folder / "w.pt").string()});
  EXPECT_EQ(ending.code, 2);
  EXPECT_TRUE(has(ending.output, "give it that ending")) << ending.output;
  EXPECT_EQ(model::load(b).facts.at("step"), "7");
}

TEST(Inspect, ShowsWhatAPythonCheckpointHolds) {
  const auto shown = run({"inspect", python});
  EXPECT_EQ(shown.code, 0);
  EXPECT_TRUE(has(shown.output, "carries no config")) << shown.output;
  EXPECT_TRUE(has(shown.output, "unpatch.unpatch.bias")) << shown.output;
  EXPECT_EQ(run({"inspect", config}).code, 1);
}

// The format's other readers read what is written here, and what they write is read here.
TEST(Safetensors, AnIndependentReaderAgrees) {
  const Folder folder;
  const auto ours = (folder / "ours.safetensors").string(), theirs = (folder / "theirs.safetensors").string(),
             back = (folder / "back.safetensors").string();
  ASSERT_EQ(run({"convert", python, ours, "--config", config}).code, 0);
  const auto command = "python3 " PROJECT_DIR "/tests/pipelines/safetensors.py copy " + ours + " " + theirs;
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_NE(bytes_of(theirs), bytes_of(ours));
  ASSERT_EQ(run({"convert", theirs, back}).code, 0);
  EXPECT_EQ(bytes_of(back), bytes_of(ours));
}

TEST(Play, TakesAPythonCheckpointWithItsConfig) {
  const Folder folder;
  const auto play = [&](const std::string& name, const std::string& checkpoint,
                        std::vector<std::string> more) {
    std::vector<std::string> arguments{"pipelines/play.yaml",
                                       "--headless",
                                       "--runs",
                                       folder.string(),
                                       "--name",
                                       name,
                                       "--set",
                                       "denoise.checkpoint=" + checkpoint,
                                       "--set",
                                       "denoise.commit=last_step",
                                       "--set",
                                       "stop.steps=3"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  };
  const auto direct = play("direct", python, {"--config", config});
  EXPECT_EQ(direct.code, 0) << direct.output;
  const auto file = (folder / "w.safetensors").string();
  ASSERT_EQ(run({"convert", python, file, "--config", config}).code, 0);
  const auto converted = play("converted", file, {});
  EXPECT_EQ(converted.code, 0) << converted.output;
  const auto video = bytes_of(folder / "direct/video.mp4");
  EXPECT_GT(video.size(), 1000u);
  EXPECT_EQ(video, bytes_of(folder / "converted/video.mp4"));
  const auto other = play("other", file, {"--set", "model.T=500"});
  EXPECT_EQ(other.code, 1);
  EXPECT_TRUE(has(other.output, "it is another than the one given")) << other.output;
  const auto unknown = play("unknown", python, {});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_TRUE(has(unknown.output, "--config FILE")) << unknown.output;
}

}  // namespace
