// report_test: known numbers, and what is said of them.
#include "tools/study/report.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/complaint.h"
#include "tools/study/known_figures.h"

namespace {

using study::Result;
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

TEST(Spread, OfEqualNumbersIsNone) {
  const auto spread = spread_of(std::vector<double>(6, 1.0));
  EXPECT_EQ(spread.mean, 1);  // six times a sixth would be less
  EXPECT_EQ(spread.deviation, 0);
  EXPECT_TRUE(study::alike({}));
  EXPECT_TRUE(study::alike({0, 0}));
  EXPECT_TRUE(study::alike({1 - 1e-16, 1, 1 + 1e-15}));
  EXPECT_FALSE(study::alike({1, 1.00001}));
  EXPECT_FALSE(study::alike({0, 1e-30}));
}

TEST(Spread, IsTestedByTheDifferencesOfPairs) {
  // Of 2 degrees of freedom, p = 1 - t/√(2 + t²); here t = 2 √3.
  EXPECT_NEAR(study::p_value({1, 2, 3}), 0.074180, 1e-6);
  EXPECT_NEAR(study::p_value({-1, -2, -3}), 0.074180, 1e-6);
  EXPECT_NEAR(study::p_value({-1, 0, 1}), 1, 1e-12);
  EXPECT_LT(study::p_value({0.9, 1, 1.1}), 0.01);
  using Numbers = std::vector<double>;
  for (const auto& untestable :
       {Numbers{}, Numbers{5}, Numbers{0.5, 0.5, 0.5}, Numbers{0, 0}, Numbers{31.3 - 31.1, 30.3 - 30.1}})
    EXPECT_EQ(study::p_value(untestable), 1);
}

TEST(Spread, OfManyComparisonsIsCorrectedAsHolmSays) {
  using Beyond = std::vector<bool>;
  EXPECT_EQ(study::holm({0.04}), Beyond{true});
  EXPECT_EQ(study::holm({0.04, 0.01, 0.02}), (Beyond{true, true, true}));
  EXPECT_EQ(study::holm({0.04, 0.01, 0.03}), (Beyond{false, true, false}));
  EXPECT_EQ(study::holm({0.02, 0.02, 0.02}), (Beyond{false, false, false}));
  EXPECT_TRUE(study::holm({}).empty());
}

TEST(Spread, IsSaidPlainly) {
  const auto said = [](const std::vector<double>& worse_by) { return study::verdicts({worse_by}).at(0); };
  EXPECT_EQ(said({0.1, -0.2, 0.3}),
            "worse than the best by 0.067, which is not shown to be beyond the spread of seeds (n=3)");
  EXPECT_EQ(said({0.9, 1, 1.1}), "worse than the best by 1, which is beyond the spread of seeds (n=3)");
  EXPECT_EQ(said({-0.9, -1, -1.1}), "better than the best by 1, which is beyond the spread of seeds (n=3)");
  EXPECT_EQ(said({0.5, 0.5}),
            "worse than the best by 0.5, the same difference in every seed (n=2), no spread to test against");
  EXPECT_EQ(said({0, 0, 0}), "equal in every seed (n=3)");
  EXPECT_EQ(said({1}), "with one seed nothing can be said about the difference to the best");
  EXPECT_EQ(said({}), "with no seed in common nothing can be said about the difference to the best");
  // p = 0.03: beyond it alone, and not where two are compared.
  const std::vector<double> some{2.23, 3.23, 4.23};
  EXPECT_EQ(said(some), "worse than the best by 3.2, which is beyond the spread of seeds (n=3)");
  for (const auto& one_of_two : study::verdicts({some, some}))
    EXPECT_EQ(one_of_two,
              "worse than the best by 3.2, which is not shown to be beyond the spread of seeds (n=3)");
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
  expect_in(
      text,
      "- denoise.steps=1: 31 ± 1, worse than the best by 0.5, the same difference in every seed (n=3), no "
      "spread to test against\n");
  expect_in(text, "- denoise.steps=4: 20.1 ± 0.1, worse than the best by 11, which is beyond");
  expect_in(text, "## ball_error_px.10\n\nNothing was measured.\n");
  EXPECT_EQ(text.find("## Failed"), std::string::npos) << text;
}

TEST(Report, MarksAllThatAreEquallyGood) {
  Known known;
  for (std::size_t i = 0; i < 9; i += 3) known.results[i].figures = known.results[i + 1].figures;
  const auto text = study::report(known.said, known.plan, known.results, {});
  expect_in(text, "| 1 | 3 | 3 | **31.5 ± 1** | none |\n");
  expect_in(text, "| 2 | 3 | 3 | **31.5 ± 1** | none |\n");
  expect_in(text, "- denoise.steps=2: 31.5 ± 1, equal in every seed (n=3)\n");
}

TEST(Report, SaysOfHowManySeedsAFigureIs) {
  Known known;
  known.results[6].figures["psnr_db"]["10"] = nullptr;  // one step, the last seed
  const auto text = study::report(known.said, known.plan, known.results, {});
  expect_in(text, "| 1 | 3 | 2 | 30.5 ± 0.71 (n=2) | none |\n");
  expect_in(text, "- denoise.steps=1: 30.5 ± 0.71 (n=2), worse than the best by 0.5, the same");
  expect_in(text, "in every seed (n=2), no spread");
}

TEST(Report, TheBestIsOneOfThoseWithMostSeeds) {
  Known known;
  for (const std::size_t open : {3, 6}) known.results[open] = {};  // one step but for the first seed,
  known.results[0].figures["psnr_db"]["10"] = 99.0;                // in which it is lucky
  const auto text = study::report(known.said, known.plan, known.results, {});
  expect_in(text, "| 1 | 1 | 2 | 99 | none |\n");
  expect_in(text, "- denoise.steps=2: 31.5 ± 1, the best\n");
  expect_in(text, "- denoise.steps=1: 99, with one seed nothing can be said");
}

TEST(Report, ABarInAValueEndsNoCell) {
  Known known;
  known.plan.cells[0].choices = {"a|b"};
  expect_in(study::report(known.said, known.plan, known.results, {}), "\n| a\\|b | 3 | 2 |");
}

TEST(Report, NamesWhatFailed) {
  Known known;
  known.results[4] = {.status = Status::failed, .complaint = "no such luck (log.txt)"};
  const auto text = study::report(known.said, known.plan, known.results, {});
  expect_in(text, "8 of 9 cells are done");
  expect_in(text, "## Failed\n\n- denoise.steps=2, seed 1: no such luck (log.txt)\n");
  expect_in(text, "| 2 | 2 | 3 | 31.5 ± 1.4 | none |\n");
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
