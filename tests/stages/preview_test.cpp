// preview_test: films of what weights dream, and when there are none.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <filesystem>
#include <memory>
#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>
#include <vector>

#include "stages/model/mmdit.h"
#include "stages/types.h"
#include "tests/harness.h"
#include "tests/stages/run_stub.h"
#include "tests/tiny_model.h"

namespace {

namespace fs = std::filesystem;
using stages::Snapshot;
using tests::Harness;
using tests::RunStub;

class Preview : public testing::Test {
 protected:
  Harness make(const std::string& more = "") {
    return Harness(
        "preview", "{every: 10, scale: 8, script: \"4 stay, 3 up, 2 none\"}",
        "{device: cpu, model: {" + std::string(tests::tiny_sizes) + ", predicts: data" + more + "}}", &run);
  }
  static Snapshot of_step(std::int64_t step) {
    auto state = std::make_shared<model::TrainState>();
    state->step = step;
    state->weights = model::Mmdit(tests::tiny_model()).initialise(static_cast<std::uint64_t>(step));
    return {state, {}};
  }
  static void show(Harness& preview, std::int64_t step) {
    preview.run<>(static_cast<std::uint64_t>(step - 1), of_step(step));
  }
  fs::path sample(const std::string& name) const { return run.folder() / "samples" / name; }

  RunStub run;
};

TEST_F(Preview, FilmsEveryFrameOfItsScriptBesideTheSimulator) {
  auto preview = make();
  preview.start();
  show(preview, 9);
  EXPECT_FALSE(fs::exists(sample("newest.mp4")));
  show(preview, 10);
  ASSERT_TRUE(fs::exists(sample("step-000010.mp4")));
  cv::VideoCapture film(sample("newest.mp4").string());
  cv::Mat image;
  int frames = 0;
  for (; film.read(image); ++frames) {
    ASSERT_EQ(image.cols, 2 * 24 * 8);
    // The simulator's court, in a corner: its background, BGR.
    const auto corner = image.at<cv::Vec3b>(image.rows - 20, image.cols - 100);
    EXPECT_NEAR(corner[0], 24, 12) << frames;
    EXPECT_NEAR(corner[2], 6, 12) << frames;
  }
  EXPECT_EQ(frames, 9);
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(run.folder() / "samples")) left.push_back(entry.path());
  EXPECT_EQ(left.size(), 2u);
}

TEST_F(Preview, TheNewestIsAlwaysAtOnePath) {
  auto preview = make();
  preview.start();
  show(preview, 10);
  const auto size = fs::file_size(sample("newest.mp4"));
  EXPECT_EQ(size, fs::file_size(sample("step-000010.mp4")));
  show(preview, 19);
  EXPECT_FALSE(fs::exists(sample("step-000019.mp4")));
  show(preview, 20);
  EXPECT_EQ(fs::file_size(sample("newest.mp4")), fs::file_size(sample("step-000020.mp4")));
  show(preview, 25);
  preview.finish();
  EXPECT_TRUE(fs::exists(sample("step-000025.mp4"))) << "the last weights, too";
}

TEST_F(Preview, AShortRunHasNone) {
  auto preview = make();
  preview.start();
  show(preview, 3);
  preview.finish();
  EXPECT_FALSE(fs::exists(sample("newest.mp4")));
}

TEST_F(Preview, AModelThatCannotBePlayedTrainsAllTheSame) {
  auto preview = make(", bidirectional: true");
  preview.start();
  EXPECT_NO_THROW(show(preview, 10));
  EXPECT_FALSE(fs::exists(sample("newest.mp4")));
}

TEST_F(Preview, AFilmThatCannotBeMadeIsNoErrorOfTheRun) {
  auto preview = make(", n_registers: 3, expansion: 2");  // not what the weights are
  preview.start();
  EXPECT_NO_THROW(show(preview, 10));
  EXPECT_FALSE(fs::exists(sample("newest.mp4")));
}

}  // namespace
