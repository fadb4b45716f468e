// report_test: known numbers, and what is said of them.
#include "tools/study/report.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/complaint.h"
#include "tools/study/known_figures.h"

namespace {

using study::Result;
using study::Spread;
using study::spread_of;
using tests::expect_in;
using Status = Result::Status;

// Three choices of steps, three seeds.
struct Known {
  Known() {
    said.file = "studies/mine.yaml";
    said.seeds = {0, 1, 2};
    said.report = {"psnr_db.10", "ball_error_px.10"};
    plan.keys = {"denoise.steps"};
    plan.seeds = 3;
    plan.checkpoint = "w.safetensors";
    const double psnr[3][3] = {{30, 31, 32}, {30.5, 31.5, 32.5}, {20, 20.1, 20.2}};
    for (std::size_t seed = 0; seed < 3; ++seed)
      for (std::size_t steps = 0; steps < 3; ++steps) {
        plan.cells.push_back({.id = "c" + std::to_string(plan.cells.size()),
                              .choices = {std::to_string(1 << steps)},
                              .seed = seed});
        results.push_back({.status = Status::done, .eval_seconds = 2});
        results.back().figures["psnr_db"] = {{"10", psnr[steps][seed]}};
        results.back().figures["ball_error_px"] = {{"10", nullptr}};
        results.back().figures["evaluations_per_frame"] = 1 + (1 << steps);
      }
  }

  study::Study said;
  study::Plan plan;
  std::vector<Result> results;
};

TEST(Spread, IsMeanAndDeviation) {
  const auto spread = spread_of({1, 2, 3, 6});
  EXPECT_EQ(spread.n, 4u);
  EXPECT_DOUBLE_EQ(spread.mean, 3);
  EXPECT_NEAR(spread.deviation, 2.1602, 1e-4);
  EXPECT_EQ(text_of(spread), "3 ± 2.2");
  EXPECT_EQ(text_of(spread_of({5})), "5");
  EXPECT_EQ(text_of(spread_of({})), "none");
}

TEST(Spread, DiffersAsWelchSays) {
  // Of 4 degrees of freedom, t at 97.5 % is 2.776: three numbers that stray by 2 differ from others from 4.53 on.
  const auto numbers = spread_of({10, 12, 14}), near = spread_of({14.5, 16.5, 18.5}),
             far = spread_of({14.6, 16.6, 18.6});
  EXPECT_FALSE(study::differ(numbers, near));
  EXPECT_TRUE(study::differ(numbers, far));
  EXPECT_TRUE(study::differ(far, numbers));
  EXPECT_FALSE(study::differ(spread_of({10, 14}), spread_of({16, 20})));
  EXPECT_TRUE(study::differ(spread_of({1, 1, 1}), spread_of({2, 2, 2})));
  EXPECT_FALSE(study::differ(spread_of({1, 1}), spread_of({1, 1})));
}

TEST(Spread, IsSaidPlainly) {
  EXPECT_EQ(study::verdict(spread_of({12, 13, 14}), spread_of({11.5, 12.5, 13.5})),
            "the difference to the best is within the spread of seeds (n=3)");
  EXPECT_EQ(study::verdict(spread_of({12, 12.1, 12.2}), spread_of({11, 11.1, 11.2})),
            "worse than the best by 1, which is beyond the spread of seeds (n=3)");
  EXPECT_EQ(study::verdict(spread_of({12, 13, 14}), spread_of({12.5, 13})),
            "the difference to the best is within the spread of seeds (n=3 and 2)");
  EXPECT_EQ(study::verdict(spread_of({12}), spread_of({11})),
            "with one seed nothing can be said about the difference to the best");
}

TEST(Report, MarksTheBestAndSaysWhatTheOthersAre) {
  const Known known;
  const auto text = study::report(known.said, known.plan, known.results, {"psnr_db.10"});
  expect_in(text, "# mine\n");
  expect_in(text, "9 of 9 cells are done");
  expect_in(text, "| denoise.steps | n | NFE | psnr_db.10 ↑ | ball_error_px.10 ↓ |\n");
  expect_in(text, "| 1 | 3 | 2 | 31 ± 1 | none |\n");
  expect_in(text, "| 2 | 3 | 3 | **31.5 ± 1** | none |\n");
  expect_in(text, "![psnr_db.10](psnr_db.10.svg)\n");
  expect_in(text, "- denoise.steps=2: 31.5 ± 1, the best\n");
  expect_in(text,
            "- denoise.steps=1: 31 ± 1, the difference to the best is within the spread of seeds (n=3)\n");
  expect_in(text, "- denoise.steps=4: 20.1 ± 0.1, worse than the best by 11, which is beyond");
  expect_in(text, "## ball_error_px.10\n\nNothing was measured.\n");
  EXPECT_EQ(text.find("## Failed"), std::string::npos) << text;
}

TEST(Report, NamesWhatFailed) {
  Known known;
  known.results[4] = {.status = Status::failed, .complaint = "no such luck (log.txt)"};
  const auto text = study::report(known.said, known.plan, known.results, {});
  expect_in(text, "8 of 9 cells are done");
  expect_in(text, "## Failed\n\n- denoise.steps=2, seed 1: no such luck (log.txt)\n");
  expect_in(text, "| 2 | 2 |");
}

TEST(Report, IsATableForProgramsToo) {
  Known known;
  known.plan.cells[0].choices = {"a, \"b\""};
  known.results[1] = {.status = Status::failed};
  const auto text = study::csv(known.plan, known.results);
  EXPECT_EQ(std::ranges::count(text, '\n'), 10);
  EXPECT_TRUE(text.starts_with("cell,denoise.steps,seed,status,psnr_db.1,psnr_db.10,")) << text;
  expect_in(text, "\nc0,\"a, \"\"b\"\"\",0,done,,30,");
  expect_in(text, "\nc1,2,0,failed,,,");
  expect_in(text, ",0.0,2.0\n");
}

TEST(KnownFigures, AreFoundWhereTheyAreMeasured) {
  const auto figures = stages::Figures::parse(R"({"psnr_db": {"1": 2.5, "10": null}, "stable_frames": 7})");
  EXPECT_EQ(study::number_in(figures, "psnr_db.1"), 2.5);
  EXPECT_EQ(study::number_in(figures, "stable_frames"), 7);
  for (const auto* name : {"psnr_db.10", "psnr_db.30", "psnr_db", "stable_frames.1", "val_loss"})
    EXPECT_FALSE(study::number_in(figures, name)) << name;
}

}  // namespace
