// plan_test: the cells of a study, their names and their commands.
#include "tools/study/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/complaint.h"
#include "tests/study/lab.h"

namespace {

using tests::four_cells;
using tests::Lab;
using tests::training;
using Texts = std::vector<std::string>;

std::set<std::string> ids(const std::vector<study::Training>& all) {
  std::set<std::string> found;
  for (const auto& each : all) found.insert(each.id);
  return found;
}

std::set<std::string> ids(const std::vector<study::Cell>& all) {
  std::set<std::string> found;
  for (const auto& each : all) found.insert(each.id);
  return found;
}

bool within(const std::set<std::string>& few, const std::set<std::string>& many) {
  return std::ranges::includes(many, few);
}

TEST(Plan, HasEveryCombinationWithEverySeed) {
  const auto plan = Lab().plan(four_cells);
  EXPECT_EQ(plan.keys, Texts{"denoise.steps"});
  EXPECT_TRUE(plan.trainings.empty());
  ASSERT_EQ(plan.cells.size(), 4u);
  EXPECT_EQ(ids(plan.cells).size(), 4u);
  EXPECT_EQ(plan.cells[1].choices, Texts{"2"});
  EXPECT_EQ(plan.cells[1].seed, 0u);
  EXPECT_EQ(plan.cells[1].arguments, (Texts{"--quick", "--set", "denoise.steps=2", "--set", "seed=0"}));
  EXPECT_EQ(study::combinations(plan), (std::vector<std::vector<std::size_t>>{{0, 2}, {1, 3}}));
}

TEST(Plan, ChoicesOfPlayShareATrainingRun) {
  const auto plan = Lab().plan(training("{denoise.steps: [1, 2], noise.std: [1, 2]}") + "seeds: [0, 1]\n");
  EXPECT_EQ(plan.cells.size(), 8u);
  ASSERT_EQ(plan.trainings.size(), 4u);
  EXPECT_EQ(plan.training_keys, Texts{"noise.std"});
  EXPECT_EQ(plan.cells[0].training, plan.cells[2].training);
  EXPECT_NE(plan.cells[0].training, plan.cells[1].training);
  EXPECT_EQ(plan.trainings[1].choices, Texts{"2"});
  EXPECT_EQ(plan.trainings[1].arguments, (Texts{PROJECT_DIR "/pipelines/train.yaml", "--set", "noise.std=2",
                                                "--set", "seed=0", "--set", "stop.minutes=10"}));
  EXPECT_EQ(plan.cells[0].arguments, (Texts{"--set", "denoise.steps=1", "--set", "seed=0"}));
}

TEST(Plan, EqualSettingsHaveOneNameWhateverElseAStudySays) {
  const Lab lab;
  const auto few = lab.plan(training("{noise.std: [1, 2]}"));
  // Further values, in another order; a further axis at its default; a choice of play.
  const auto many = lab.plan(training("{noise.mean: [1], denoise.steps: [2, 1], noise.std: [3, 2, 1]}"));
  EXPECT_EQ(few.trainings.size(), 2u);
  EXPECT_EQ(many.trainings.size(), 3u);
  EXPECT_TRUE(within(ids(few.trainings), ids(many.trainings)));
  EXPECT_TRUE(within(ids(few.cells), ids(many.cells)));
}

TEST(Plan, HowANumberIsWrittenDoesNotCount) {
  const Lab lab;
  const auto plan = [&](const std::string& spread, const std::string& rate, const std::string& guidance) {
    return lab.plan(training("{noise.std: [" + spread + "], denoise.guidance: [" + guidance + "]}") +
                    "set: {stepped.lr_adam: " + rate + "}\n");
  };
  const auto plain = plan("1", "0.001", "2"), other = plan("1.0", "1e-3", "2.00");
  EXPECT_EQ(ids(plain.trainings), ids(other.trainings));
  EXPECT_EQ(ids(plain.cells), ids(other.cells));
}

TEST(Plan, AnotherBudgetOrSeedOrCheckpointIsAnotherCell) {
  const Lab lab;
  const std::string axes = "{noise.std: [1]}";
  std::set<std::string> all;
  for (const auto& text : {training(axes), training(axes, "{minutes: 11}"), training(axes, "{steps: 10}"),
                           training(axes) + "seeds: [7]\n", training(axes) + "set: {clips.batch: 3}\n"})
    all.merge(ids(lab.plan(text).cells));
  EXPECT_EQ(all.size(), 5u);

  const auto before = ids(lab.plan(four_cells).cells);
  EXPECT_EQ(ids(lab.plan(four_cells).cells), before);
  lab.write("w.safetensors", "other weights");
  auto both = ids(lab.plan(four_cells).cells);
  both.merge(std::set(before));
  EXPECT_EQ(both.size(), 8u);
}

TEST(Plan, ASettingWithoutAStageIsOfTrainingAndPlay) {
  const auto plan = Lab().plan(training("{noise.std: [1]}") + "set: {device: cpu}\n");
  EXPECT_EQ(plan.cells[0].arguments, (Texts{"--set", "device=cpu", "--set", "seed=0"}));
  EXPECT_EQ(plan.trainings[0].arguments[2], "device=cpu");
}

TEST(Plan, ValuesMayBeMaps) {
  const std::string mixture = "set: {noise.type: mixture_noise}\n";
  for (const auto* axes :
       {"\n  noise.weights: [{mode: 1}, {logit_normal: 3, uniform: 1}]",
        "\n  noise.{weights,high}: [[{mode: 1}, 0.5], [{logit_normal: 3, uniform: 1}, 0.1]]"}) {
    const auto plan = Lab().plan(training(axes) + mixture);
    ASSERT_EQ(plan.cells.size(), 2u);
    EXPECT_EQ(plan.cells[1].choices.at(0), "{logit_normal: 3, uniform: 1}");
    tests::expect_in(study::command(plan.trainings[1].arguments),
                     "--set 'noise.weights={logit_normal: 3, uniform: 1}'");
  }
}

TEST(Plan, SaysWhatCannotBe) {
  const Lab lab;
  const auto refused = [&](const std::string& text, const std::string& part) {
    tests::expect_in(tests::complaint([&] { lab.plan(text); }), part);
  };
  refused(training("{noise.sdt: [1]}"),
          "s.yaml: noise.sdt=1: stage 'noise': unknown parameter 'sdt'; did you mean 'std'?");
  refused(training("{nosie.std: [1]}"), "s.yaml: nosie.std=1: no stage or block 'nosie'");
  refused(training("{noise.std: [-1]}"), "out of range");
  const std::string weights = "checkpoint: w.safetensors\nreport: [psnr_db.10]\n";
  refused(weights + "axes: {noise.std: [1]}\n", "is a choice of training");
  refused(weights + "axes: {denoise.steps: [2, 2]}\n", "two cells have the same settings: denoise.steps=2");
  refused(training("{noise.std: [1, 1.0]}"), "two cells have the same settings: noise.std=1.0; take one out");
  const std::string ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
  refused(weights + "axes: {denoise.steps: " + ten + ", denoise.shift: " + ten +
              ", denoise.guidance: " + ten + ", episodes.games: " + ten + ", episodes.frames: [10, 11]}\n",
          "s.yaml: more than 10000 cells");
  // What only the denoiser would refuse, when it starts.
  refused(weights + "axes: {denoise.schedule: [linear, custom]}\n",
          "s.yaml: denoise.schedule=custom: schedule: levels is [], expected 1 to 1000 steps");
  refused(training("{denoise.schedule: [sd3, karras]}") + "set: {denoise.terminal: 0.1}\n",
          "s.yaml: denoise.schedule=karras: schedule: terminal is");
  refused("checkpoint: no.safetensors\nreport: [psnr_db.10]\naxes: {denoise.steps: [1]}\n",
          "no such file or run folder");
  refused("pipeline: " PROJECT_DIR
          "/pipelines/dataset.yaml\nbudget: {steps: 1}\nreport: [psnr_db.10]\n"
          "axes: {episodes.frames: [1]}\n",
          "keeps no checkpoint");
}

TEST(Plan, CommandsAreAsAShellTakesThem) {
  EXPECT_EQ(study::command({"eval", "a/b", "--set", "x=[1, 2]", "it's"}),
            "./run eval a/b --set 'x=[1, 2]' 'it'\\''s'");
}

}  // namespace
