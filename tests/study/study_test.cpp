// study_test: what a study file says, and what is wrong with it.
#include "tools/study/study.h"

#include <gtest/gtest.h>

#include "tests/complaint.h"
#include "tests/study/lab.h"

namespace {

using tests::Lab;
using Texts = std::vector<std::string>;

TEST(Study, IsReadWithItsPathsBesideIt) {
  const Lab lab;
  const auto file = lab.write("a/b/mine.yaml",
                              "pipeline: ../train.yaml\n"
                              "configs: [small.yaml]\n"
                              "set: {clips.batch: 4}\n"
                              "axes:\n"
                              "  noise.type: [one, two]\n"
                              "  denoise.{schedule, shift}: [[sd3, 3], [linear, 1]]\n"
                              "seeds: [3, 5]\n"
                              "budget: {minutes: 1.5}\n"
                              "quick: true\n"
                              "report: [psnr_db.10, val_loss]\n");
  EXPECT_TRUE(study::is_study(file));
  const auto read = study::read(file);
  EXPECT_EQ(std::filesystem::path(read.pipeline), file.parent_path().parent_path() / "train.yaml");
  EXPECT_EQ(std::filesystem::path(read.configs.at(0)), file.parent_path() / "small.yaml");
  EXPECT_EQ(read.checkpoint, "");
  ASSERT_EQ(read.set.size(), 1u);
  EXPECT_EQ(read.set[0].text(), "clips.batch=4");
  ASSERT_EQ(read.axes.size(), 2u);
  EXPECT_EQ(read.axes[0].choices, (std::vector<Texts>{{"one"}, {"two"}}));
  EXPECT_EQ(read.axes[1].keys, (Texts{"denoise.schedule", "denoise.shift"}));
  EXPECT_EQ(read.axes[1].choices, (std::vector<Texts>{{"sd3", "3"}, {"linear", "1"}}));
  EXPECT_EQ(read.seeds, (std::vector<std::uint64_t>{3, 5}));
  EXPECT_EQ(read.budget.minutes, 1.5);
  EXPECT_FALSE(read.budget.steps);
  EXPECT_TRUE(read.quick);
  EXPECT_EQ(read.report, (Texts{"psnr_db.10", "val_loss"}));
}

TEST(Study, APipelineIsNone) { EXPECT_FALSE(study::is_study(PROJECT_DIR "/pipelines/train.yaml")); }

TEST(Study, IsRefusedWithWhatIsWrong) {
  const Lab lab;
  const auto refused = [&](const std::string& text, const std::string& part) {
    tests::expect_in(tests::complaint([&] { lab.read(text); }), part);
  };
  const std::string axes = "axes: {denoise.steps: [1]}\n", report = "report: [psnr_db.10]\n",
                    weights = "checkpoint: w.safetensors\n";
  refused(axes + report, "expected either `pipeline:`, to train, or `checkpoint:`");
  refused(weights + "pipeline: p.yaml\nbudget: {steps: 1}\n" + axes + report, "expected either `pipeline:`");
  refused("pipeline: p.yaml\n" + axes + report, "no `budget:`");
  refused(weights + axes + report + "budget: {steps: 1}\n", "so it has no budget");
  refused("pipeline: p.yaml\nbudget: {}\n" + axes + report, "either steps or minutes");
  refused("pipeline: p.yaml\nbudget: {steps: 1, minutes: 1}\n" + axes + report, "either steps or minutes");
  refused(weights + report, "no `axes:`");
  refused(weights + report + "axes: {}\n", "there is nothing to compare");
  refused(weights + axes, "no `report:`");
  refused(weights + axes + "report: [psnr_bd.10]\n",
          "s.yaml:3:9: no figure 'psnr_bd.10'; did you mean 'psnr_db.10'?");
  refused(weights + axes + "report: [val_loss]\n", "this study trains nothing");
  refused(weights + axes + report + "seeds: [1, 1]\n", "each once");
  refused(weights + axes + report + "sedes: [1]\n", "unknown parameter 'sedes'; did you mean 'seeds'?");
  refused(weights + report + "axes: {denoise.steps: 3}\n",
          "s.yaml:3:23: axis 'denoise.steps': expected a list");
  refused(weights + report + "axes: {denoise.steps: []}\n", "expected a list of values");
  refused(weights + report + "axes: {steps: [1]}\n", "expected stage.key or block.key");
  refused(weights + report + "axes: {stop.steps: [1]}\n", "'stop' is set by `budget:`");
  refused(weights + report + "axes:\n  denoise.{steps,shift}: [[1, 2], [3]]\n",
          "expected a list of 2 values");
  refused(weights + report + "axes:\n  denoise.steps: [1]\n  denoise.{steps,shift}: [[1, 2]]\n",
          "is there twice");
}

}  // namespace
