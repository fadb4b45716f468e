// conduct: works through the cells of a plan, one process at a time, and remembers what is done.
//
// Of a study STUDY that writes below RUNS (experiments, if nobody says otherwise):
//
//   RUNS/studies/trained/ID/          a run's folder, ID.log beside it: what it printed
//   RUNS/studies/STUDY/cells/ID/      command.txt    what repeats the cell
//                                     pipeline.yaml  what was measured, merged; it runs as it is
//                                     log.txt        what `run eval` printed
//                                     result.json    the figures; the cell is done when this file is there
//
// Nothing else is remembered, so a study that was killed at any moment goes on by doing what is not done. A training
// run goes on from its newest checkpoint. A cell that failed is tried again.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stages/eval/figures.h"
#include "tools/study/plan.h"

namespace study {

struct Folders {
  std::filesystem::path study, trained;

  std::filesystem::path run(const Training& training) const { return trained / training.id; }
  std::filesystem::path cell(const Cell& cell) const { return study / "cells" / cell.id; }
};

/// What is known of a cell.
struct Result {
  enum class Status { open, done, failed };

  Status status = Status::open;
  stages::Figures figures;                     // as known_figures() names them
  double train_seconds = 0, eval_seconds = 0;  // 0 where nothing was trained
  std::string complaint;                       // why it failed
};

/// What the cells do to the world.
struct Hands {
  /// Runs `./run ARGUMENTS` to its end, with what it prints in `log`; gives its exit code.
  std::function<int(const std::vector<std::string>& arguments, const std::filesystem::path& log)> run;
  /// Whether somebody wants it to end. What ended meanwhile counts as interrupted, and not as failed.
  std::function<bool()> stopping;
  /// Called after each cell.
  std::function<void()> changed;
};

/// Of the `./run` that begins a training run in its folder.
std::vector<std::string> arguments_of(const Training& training, const Folders& folders);

/// What earlier processes have done, for each cell of the plan.
std::vector<Result> look(const Plan& plan, const Folders& folders);

/// Whether a run has come to its end.
bool is_trained(const Training& training, const Folders& folders);

/// Trains and measures what is not done, and brings `results` up to date. A cell that fails is marked, and the next one
/// follows. No other study may work with these folders meanwhile. Throws std::runtime_error when it cannot write.
void conduct(const Plan& plan, const Folders& folders, const Hands& hands, std::vector<Result>& results);

/// How long what is left will take: from what is done already, else from the budget and from how long `run eval` takes
/// on two cores. Nothing where neither says.
std::optional<double> seconds_left(const Plan& plan, const Folders& folders,
                                   const std::vector<Result>& results);

/// "45 s", "12 min", "3 h 20 min".
std::string duration(double seconds);

/// The last line of a log that may be growing; "" where there is none.
std::string last_line(const std::filesystem::path& log);

}  // namespace study
