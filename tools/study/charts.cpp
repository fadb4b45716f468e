// charts: series out of results and metrics.
#include "tools/study/charts.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "tools/study/report.h"

namespace study {
namespace {

constexpr int bins = 100;  // of a curve, along all steps

const char* const evaluations = "evaluations_per_frame";

// The series of that name, at the end if it is new.
Series& named(std::vector<Series>& all, const std::string& name) {
  const auto known = std::ranges::find(all, name, &Series::name);
  return known == all.end() ? all.emplace_back(Series{name, {}}) : *known;
}

// Steps are what most evaluations come from, so they run along the series.
std::string without_steps(const Plan& plan, std::vector<std::string> choices) {
  auto keys = plan.keys;
  if (const auto steps = std::ranges::find(keys, "denoise.steps"); steps != keys.end()) {
    choices.erase(choices.begin() + (steps - keys.begin()));
    keys.erase(steps);
  }
  return graph::join(choices);
}

Plot quality(const std::string& figure, const Plan& plan, const std::vector<Result>& results) {
  Plot plot{.title = figure + " against evaluations a frame",
            .x = {.label = "evaluations of the network a frame", .logarithmic = true},
            .y = {.label = figure}};
  for (const auto& cells : combinations(plan)) {
    const auto cost = spread_of(results, cells, evaluations), value = spread_of(results, cells, figure);
    if (cost.n == 0 || value.n == 0) continue;
    named(plot.series, without_steps(plan, plan.cells[cells.front()].choices))
        .points.push_back({cost.mean, value.mean, value.deviation});
  }
  return plot;
}

// What the runs with the same choices have measured.
struct Metrics {
  std::vector<Point> loss;                        // by step
  std::map<double, std::vector<double>> loss_at;  // of the last validations, by noise level
};

void read_metrics(const std::filesystem::path& path, Metrics& metrics) {
  std::ifstream file(path);
  auto last = nlohmann::json::object();
  for (std::string line; std::getline(file, line);) {
    // The last line may be half a line.
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) continue;
    if (json.contains("loss") && json["loss"].is_number())
      metrics.loss.push_back({json.at("step").get<double>(), json["loss"].get<double>()});
    if (json.contains("val_loss_at")) last = json["val_loss_at"];
  }
  for (const auto& [level, loss] : last.items())
    if (loss.is_number()) metrics.loss_at[std::stod(level)].push_back(loss.get<double>());
}

std::vector<Point> smooth(const std::vector<Point>& points) {
  double most = 1;
  for (const auto& point : points) most = std::max(most, point.x);
  std::map<int, std::vector<Point>> binned;
  for (const auto& point : points)
    binned[static_cast<int>(std::ceil(bins * point.x / most))].push_back(point);
  std::vector<Point> curve;
  for (const auto& [bin, inside] : binned) {
    auto& mean = curve.emplace_back();
    for (const auto& point : inside) {
      mean.x += point.x / static_cast<double>(inside.size());
      mean.y += point.y / static_cast<double>(inside.size());
    }
  }
  return curve;
}

// Of the runs that some cell was measured with; they are whole.
std::vector<std::pair<std::string, Metrics>> metrics_of(const Plan& plan, const std::vector<Result>& results,
                                                        const Folders& folders) {
  std::set<std::size_t> trained;
  for (std::size_t i = 0; i < results.size(); ++i)
    if (results[i].status == Result::Status::done && plan.cells[i].training)
      trained.insert(*plan.cells[i].training);
  std::vector<std::pair<std::string, Metrics>> all;
  for (const auto index : trained) {
    const auto& training = plan.trainings[index];
    const auto name = graph::join(training.choices);
    auto known = std::ranges::find(all, name, &std::pair<std::string, Metrics>::first);
    if (known == all.end()) known = all.emplace(all.end(), name, Metrics{});
    read_metrics(folders.run(training) / "metrics.jsonl", known->second);
  }
  return all;
}

}  // namespace

std::vector<Chart> charts(const Study& study, const Plan& plan, const std::vector<Result>& results,
                          const Folders& folders) {
  std::vector<Chart> all;
  std::vector<double> costs;
  for (const auto& cells : combinations(plan))
    if (const auto cost = spread_of(results, cells, evaluations); cost.n > 0) costs.push_back(cost.mean);
  if (!alike(costs))
    for (const auto& figure : study.report)
      if (figure != evaluations) all.push_back({figure, quality(figure, plan, results)});

  Plot training{.title = "training, mean over the seeds",
                .x = {.label = "step"},
                .y = {.label = "loss", .logarithmic = true}};
  Plot levels{.title = "last validation, mean over the seeds",
              .x = {.label = "noise level: 0 is data, 1 is noise"},
              .y = {.label = "loss", .logarithmic = true}};
  for (const auto& [name, metrics] : metrics_of(plan, results, folders)) {
    training.series.push_back({name, smooth(metrics.loss)});
    auto& by_level = levels.series.emplace_back(Series{name, {}}).points;
    for (const auto& [level, losses] : metrics.loss_at) {
      const auto spread = spread_of(losses);
      by_level.push_back({level, spread.mean, spread.deviation});
    }
  }
  const auto has_points = [](const Series& series) { return !series.points.empty(); };
  for (const auto& [name, plot] : {std::pair("training", training), std::pair("loss_by_level", levels)})
    if (std::ranges::any_of(plot.series, has_points)) all.push_back({name, plot});
  return all;
}

}  // namespace study
