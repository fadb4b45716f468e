// plot_test: scales, both kinds of picture, and which charts a study has.
#include "tools/study/plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <opencv2/imgcodecs.hpp>

#include "tests/study/lab.h"
#include "tools/study/charts.h"

namespace {

using study::Plot;
using study::Result;
using tests::Lab;
using Status = Result::Status;

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 1e-12) << i;
}

Plot two_series() {
  return {.title = "a < b",
          .x = {.label = "x"},
          .y = {.label = "y"},
          .series = {{"first", {{3, 1, 0.5}, {1, 2}, {2, std::numeric_limits<double>::quiet_NaN()}}},
                     {"second", {{2, 3}}}}};
}

TEST(Plot, MarksRoundNumbers) {
  expect_near(study::ticks(0, 1, false), {0, 0.2, 0.4, 0.6, 0.8, 1});
  expect_near(study::ticks(-0.3, 1.1, false), {0, 0.5, 1});
  EXPECT_FALSE(std::signbit(study::ticks(-0.3, 1.1, false)[0]));
  expect_near(study::ticks(18, 41, false), {20, 25, 30, 35, 40});
  expect_near(study::ticks(0.9, 17, true), {1, 2, 5, 10});
  expect_near(study::ticks(0.0004, 0.003, true), {0.0005, 0.001, 0.002});
  expect_near(study::ticks(2.1, 4.4, true), {2.5, 3, 3.5, 4});  // no two of 1, 2, 5 in there
}

TEST(Plot, HasFewMarksWhateverTheScale) {
  EXPECT_LE(study::ticks(1 - 1e-16, 1, false).size(), 7u);
  EXPECT_LE(study::ticks(1e17, 1e17 + 16, false).size(), 7u);
  EXPECT_EQ(study::ticks(0, 1, true).back(), 1);
}

TEST(Plot, NumbersThatRoundingTellsApartAreOne) {
  // A mean of six ones that was summed up by sixths, and one itself.
  for (const bool logarithmic : {false, true}) {
    const Plot plot{.x = {.logarithmic = logarithmic},
                    .y = {.logarithmic = logarithmic},
                    .series = {{"s", {{1 - 1e-16, 1 - 1e-16}, {1, 1}}}}};
    const auto svg = study::to_svg(plot);
    EXPECT_EQ(count(svg, "<circle"), 2 + 1) << svg;
    EXPECT_EQ(count(svg, ">1</text>"), 2) << svg;  // there is a mark on each side
  }
}

TEST(Plot, IsAnSvgWithItsPointsAndNames) {
  const auto svg = study::to_svg(two_series());
  EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"")) << svg;
  EXPECT_TRUE(svg.ends_with("</svg>\n")) << svg;
  EXPECT_EQ(count(svg, "<circle"), 3 + 2) << svg;             // points, and dots in the legend
  EXPECT_EQ(count(svg, "stroke=\"#0072b2\""), 1 + 1) << svg;  // a line between two points, and a whisker
  EXPECT_EQ(count(svg, ">first</text>"), 1) << svg;
  EXPECT_EQ(count(svg, ">a &lt; b</text>"), 1) << svg;
  EXPECT_EQ(count(svg, "nan"), 0) << svg;
}

TEST(Plot, IsAPictureOfTheSameShape) {
  const Lab lab;
  const auto path = lab.write("p.png", "");
  study::write_png(two_series(), path);
  const auto image = cv::imread(path.string());
  ASSERT_FALSE(image.empty());
  const auto svg = study::to_svg(two_series());
  const auto width = std::stod(svg.substr(svg.find("width=\"") + 7));
  EXPECT_NEAR(image.cols, 2 * width, 1);
  // The first series' colour is in it.
  cv::Mat blue;
  cv::inRange(image, cv::Scalar(0xb2, 0x72, 0x00), cv::Scalar(0xb2, 0x72, 0x00), blue);
  EXPECT_GT(cv::countNonZero(blue), 100);
}

TEST(Plot, TakesWhatCannotBeShown) {
  Plot plot{
      .x = {.logarithmic = true}, .y = {.logarithmic = true}, .series = {{"s", {{0, 1}, {1, -2}}}, {"", {}}}};
  const auto svg = study::to_svg(plot);
  EXPECT_EQ(count(svg, "<circle"), 1) << svg;  // in the legend
  EXPECT_EQ(count(svg, "nan") + count(svg, "inf"), 0) << svg;
  plot.series = {{"s", {{4, 5}}}};
  EXPECT_EQ(count(study::to_svg(plot), "<circle"), 2);
  plot.series = {{"s", {{1e-300, 1e-300}}}};
  EXPECT_EQ(count(study::to_svg(plot), "<circle"), 2);
}

TEST(Plot, MoreSeriesThanColoursHaveOtherMarks) {
  Plot plot;
  for (int i = 0; i < 9; ++i) plot.series.push_back({"s", {{1.0 * i, 1}}});
  const auto svg = study::to_svg(plot);
  EXPECT_EQ(count(svg, "<circle"), 8 * 2);
  EXPECT_EQ(count(svg, "<rect"), 1 + 2);  // the paper is one
}

TEST(Charts, ShowFiguresAgainstEvaluationsWhereTheyVary) {
  const Lab lab;
  const auto text = std::string(tests::four_cells) + "set: {episodes.games: 2}\n";
  const auto study = lab.read(text);
  const auto plan = lab.plan(text);
  std::vector<Result> results(4);
  EXPECT_TRUE(study::charts(study, plan, results, lab.folders()).empty());
  for (std::size_t i = 0; i < 4; ++i) {
    results[i].status = Status::done;
    results[i].figures["psnr_db"] = {{"10", 30 + static_cast<int>(i)}};
    results[i].figures["evaluations_per_frame"] = 2;
  }
  EXPECT_TRUE(study::charts(study, plan, results, lab.folders()).empty());
  results[1].figures["evaluations_per_frame"] = results[3].figures["evaluations_per_frame"] = 2 + 4e-16;
  EXPECT_TRUE(study::charts(study, plan, results, lab.folders()).empty());
  results[1].figures["evaluations_per_frame"] = results[3].figures["evaluations_per_frame"] = 3;
  const auto charts = study::charts(study, plan, results, lab.folders());
  ASSERT_EQ(charts.size(), 1u);
  EXPECT_EQ(charts[0].name, "psnr_db.10");
  ASSERT_EQ(charts[0].plot.series.size(), 1u);
  const auto& points = charts[0].plot.series[0].points;
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].x, 2);
  EXPECT_EQ(points[0].y, 31);  // of 30 and 32
  EXPECT_NEAR(points[0].spread, std::sqrt(2), 1e-9);
}

TEST(Charts, ShowWhatTrainingRunsHaveMeasured) {
  const Lab lab;
  const auto text = tests::training("{noise.std: [1, 2]}") + "seeds: [0, 1]\n";
  const auto study = lab.read(text);
  const auto plan = lab.plan(text);
  std::vector<Result> results(4);
  for (auto& result : results) result.status = Status::done;
  for (std::size_t i = 0; i < plan.trainings.size(); ++i) {
    const auto loss = std::to_string(i + 1);
    lab.write("studies/trained/" + plan.trainings[i].id + "/metrics.jsonl",
              "{\"step\": 1, \"loss\": " + loss + "}\n" +
                  "{\"step\": 1, \"val_loss\": 9, \"val_loss_at\": {\"1\": 9, \"0\": 9}}\n" +
                  "{\"step\": 2, \"loss\": 0.5}\n" +
                  "{\"step\": 2, \"val_loss\": 2, \"val_loss_at\": {\"1\": 1, \"0.25\": " + loss + "}}\n" +
                  "{\"step\": 3, \"lo");
  }
  const auto charts = study::charts(study, plan, results, lab.folders());
  ASSERT_EQ(charts.size(), 2u);
  EXPECT_EQ(charts[0].name, "training");
  EXPECT_EQ(charts[1].name, "loss_by_level");
  for (const auto& chart : charts) {
    ASSERT_EQ(chart.plot.series.size(), 2u);
    EXPECT_EQ(chart.plot.series[0].name, "1");
    EXPECT_EQ(chart.plot.series[0].points.size(), 2u);
  }
  // Of the runs with std 1, the first has loss 1 and the third, with the other seed, 3.
  EXPECT_EQ(charts[0].plot.series[0].points[0].y, 2);
  EXPECT_EQ(charts[1].plot.series[0].points[0].x, 0.25);
  EXPECT_EQ(charts[1].plot.series[0].points[0].y, 2);
}

}  // namespace
