// conduct: train, measure, remember.
#include "tools/study/conduct.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>

#include "stages/find_checkpoint.h"
#include "stages/model/safetensors.h"
#include "stages/train/resume_file.h"
#include "stages/whole_file.h"

namespace study {
namespace {

namespace fs = std::filesystem;
using stages::Figures;
using Status = Result::Status;

constexpr double quick_seconds = 60, full_seconds = 900;  // of `run eval` on two cores

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Figures read_json(const fs::path& path) {
  std::ifstream file(path);
  return Figures::parse(file);
}

// Of the weights that are measured, as they say it themselves: the index beside them is written later, and a kill may
// come in between.
Figures validation_loss(const fs::path& run) {
  const auto facts = model::read_metadata(stages::find_checkpoint(run.string(), "checkpoint"));
  const auto fact = facts.find("val_loss");
  return fact == facts.end() ? Figures() : Figures::parse(fact->second);
}

// The commands alone say all, so that they repeat a cell beside what is there.
std::string repeating(const Plan& plan, const Cell& cell) {
  std::vector<std::string> measured{"eval", plan.checkpoint.generic_string()};
  std::string text = "# What repeats this cell.\n";
  if (cell.training) {
    const auto& training = plan.trainings[*cell.training];
    auto trained = training.arguments;
    trained.insert(trained.end(), {"--name", training.id});
    text += command(trained) + "\n";
    measured[1] = "experiments/" + training.id;
  }
  measured.insert(measured.end(), cell.arguments.begin(), cell.arguments.end());
  return text + command(measured) + "\n";
}

// Of a process that ended with this exit code.
std::string said_in(const fs::path& log, int code) {
  constexpr int of_signals = 128;
  const auto line = last_line(log);
  return (code > of_signals ? fmt::format("killed by signal {}, after: ", code - of_signals) : "") +
         (line.empty() ? "it said nothing" : line) + " (" + log.generic_string() + ")";
}

class Conductor {
 public:
  Conductor(const Plan& plan, const Folders& folders, const Hands& hands)
      : plan_(plan), folders_(folders), hands_(hands) {}

  // As far as the cell gets; still open when it was interrupted.
  Result work_off(const Cell& cell, const std::string& where) {
    const auto folder = folders_.cell(cell);
    fs::create_directories(folder);
    stages::write_whole(folder / "command.txt", repeating(plan_, cell));
    Result result;
    try {
      if (cell.training) train(*cell.training, where);
      if (!hands_.stopping()) measure(cell, where, result);
      if (!result.figures.is_null()) result.status = Status::done;
    } catch (const Failure& failure) {
      if (!hands_.stopping()) result = {.status = Status::failed, .complaint = failure.what()};
    }
    return result;
  }

 private:
  // Of a cell; the study goes on.
  struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
  };

  // Once for all cells that share the run; what failed once is not tried again by the next of them.
  void train(std::size_t index, const std::string& where) {
    const auto [known, is_new] = complaints_.try_emplace(index);
    auto& complaint = known->second;
    if (is_new) complaint = complaint_of(plan_.trainings[index], where);
    if (!complaint.empty()) throw Failure("training: " + complaint);
  }

  std::string complaint_of(const Training& training, const std::string& where) const {
    if (is_trained(training, folders_)) return "";
    const auto folder = folders_.run(training);
    const auto log = fs::path(folder.string() + ".log");
    fs::create_directories(folders_.trained);
    std::vector<std::string> arguments{folder.string()};
    if (!fs::exists(folder)) arguments = arguments_of(training, folders_);
    spdlog::info("{}: training", where);
    if (const int code = hands_.run(arguments, log); code != 0) return said_in(log, code);
    // Who stops a run, and not the study, ends it in good order.
    if (hands_.stopping() || is_trained(training, folders_)) return "";
    return "ended before its budget (" + log.generic_string() + ")";
  }

  void measure(const Cell& cell, const std::string& where, Result& result) const {
    const auto folder = folders_.cell(cell);
    const auto run = cell.training ? folders_.run(plan_.trainings[*cell.training]) : plan_.checkpoint;
    std::vector<std::string> arguments{"eval", run.string()};
    arguments.insert(arguments.end(), cell.arguments.begin(), cell.arguments.end());
    arguments.insert(arguments.end(), {"--json", (folder / "figures.json").string(), "--pipeline",
                                       (folder / "pipeline.yaml").string()});
    spdlog::info("{}: measuring", where);
    const auto begin = std::chrono::steady_clock::now();
    if (const int code = hands_.run(arguments, folder / "log.txt"); code != 0)
      throw Failure(said_in(folder / "log.txt", code));
    result.eval_seconds = seconds_since(begin);
    Figures figures;
    try {
      figures = read_json(folder / "figures.json");
      if (cell.training) {
        figures["val_loss"] = validation_loss(run);
        result.train_seconds = stages::reached(run).seconds;
      }
    } catch (const std::exception& error) {
      throw Failure(error.what());
    }
    const Figures all{
        {"train_seconds", result.train_seconds}, {"eval_seconds", result.eval_seconds}, {"figures", figures}};
    stages::write_whole(folder / "result.json", all.dump(2) + "\n");
    fs::remove(folder / "figures.json");
    result.figures = std::move(figures);
  }

  const Plan& plan_;
  const Folders& folders_;
  const Hands& hands_;
  std::map<std::size_t, std::string> complaints_;  // of the runs that were seen to, by index; "" for none
};

// Nothing of none.
std::optional<double> mean_of(const std::vector<Result>& results, double Result::*seconds) {
  double sum = 0;
  int n = 0;
  for (const auto& result : results)
    if (result.status == Status::done && result.*seconds > 0) {
      sum += result.*seconds;
      ++n;
    }
  return n == 0 ? std::nullopt : std::optional(sum / n);
}

}  // namespace

std::vector<std::string> arguments_of(const Training& training, const Folders& folders) {
  auto all = training.arguments;
  all.insert(all.end(), {"--runs", folders.trained.string(), "--name", training.id});
  return all;
}

std::vector<Result> look(const Plan& plan, const Folders& folders) {
  std::vector<Result> results(plan.cells.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto path = folders.cell(plan.cells[i]) / "result.json";
    if (!fs::exists(path)) continue;
    try {
      const auto all = read_json(path);
      results[i] = {.status = Status::done,
                    .figures = all.at("figures"),
                    .train_seconds = all.at("train_seconds").get<double>(),
                    .eval_seconds = all.at("eval_seconds").get<double>()};
    } catch (const std::exception& error) {
      spdlog::warn("{} is no result, so the cell is measured again: {}", path.generic_string(), error.what());
    }
  }
  return results;
}

bool is_trained(const Training& training, const Folders& folders) {
  try {
    return stages::is_done(stages::reached(folders.run(training)), training.budget);
  } catch (const std::runtime_error&) {
    return false;  // what is broken there, going on with it will say
  }
}

void conduct(const Plan& plan, const Folders& folders, const Hands& hands, std::vector<Result>& results) {
  Conductor conductor(plan, folders, hands);
  for (std::size_t i = 0; i < results.size(); ++i) {
    auto& result = results[i];
    if (result.status == Status::done) continue;
    if (hands.stopping()) return;
    const auto& cell = plan.cells[i];
    const auto where =
        fmt::format("[{}/{}] {}, seed {}", i + 1, results.size(), label(plan.keys, cell.choices), cell.seed);
    result = conductor.work_off(cell, where);
    if (result.status == Status::open) return;
    if (result.status == Status::failed) spdlog::error("{}: failed: {}", where, result.complaint);
    hands.changed();
    if (result.status == Status::failed) continue;
    const auto left = seconds_left(plan, folders, results);
    spdlog::info("{}: done in {}{}", where, duration(result.eval_seconds),
                 left && *left > 0 ? "; about " + duration(*left) + " left" : "");
  }
}

std::optional<double> seconds_left(const Plan& plan, const Folders& folders,
                                   const std::vector<Result>& results) {
  std::set<std::size_t> trainings;
  double cells = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].status != Status::open) continue;
    ++cells;
    const auto training = plan.cells[i].training;
    if (training && !is_trained(plan.trainings[*training], folders)) trainings.insert(*training);
  }
  if (cells == 0) return 0;
  const auto& arguments = plan.cells.front().arguments;
  const bool quick = std::ranges::find(arguments, "--quick") != arguments.end();
  const auto measuring =
      cells * mean_of(results, &Result::eval_seconds).value_or(quick ? quick_seconds : full_seconds);
  if (trainings.empty()) return measuring;
  auto training = mean_of(results, &Result::train_seconds);
  if (const auto minutes = plan.trainings[*trainings.begin()].budget.minutes) training = 60 * *minutes;
  if (!training) return std::nullopt;
  return measuring + static_cast<double>(trainings.size()) * *training;
}

std::string duration(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  const auto minutes = std::llround(seconds / 60);
  if (minutes < 90) return fmt::format("{} min", minutes);
  return fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string last_line(const fs::path& log) {
  constexpr std::streamoff most = 4096;  // bytes
  std::ifstream file(log, std::ios::binary | std::ios::ate);
  if (!file) return "";
  file.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(file.tellg()) - most));
  std::string last;
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) last = line;
  return last;
}

}  // namespace study
