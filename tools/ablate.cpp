// ablate: compares choices of stages and parameters: trains and measures every combination that a study names.
//
// Each training run and each measurement is a process of its own, one at a time: so figures of speed are no one
// else's, a cell that crashes takes no other with it, and the commands are those that a person would type.
#include "tools/ablate.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "stages/whole_file.h"
#include "tools/child.h"
#include "tools/request.h"
#include "tools/run_folder.h"
#include "tools/run_pipeline.h"
#include "tools/stopping.h"
#include "tools/study/charts.h"
#include "tools/study/report.h"
#include "tools/taps.h"
#include "tools/verbs.h"

namespace tools {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct Options {
  fs::path file, runs = "experiments";
  std::string name;
  bool dry_run = false;
};

// One process at a time, which another thread may stop.
class Processes {
 public:
  int run(const std::vector<std::string>& arguments, const fs::path& log) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return 1;
      child_.emplace(arguments, log);
      log_ = log;
    }
    std::optional<int> code;
    for (auto shown = Clock::now(); !(code = ended()); std::this_thread::sleep_for(20ms)) {
      if (!terminal_ || Clock::now() - shown < 500ms) continue;
      shown = Clock::now();
      std::fprintf(stderr, "\r\033[K%.100s", study::last_line(log).c_str());
    }
    if (terminal_) std::fputs("\r\033[K", stderr);
    const std::lock_guard lock(mutex_);
    child_.reset();
    return *code;
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (child_) child_->signal(SIGINT);
  }

  bool stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  std::string whereabouts() const {
    const std::lock_guard lock(mutex_);
    return "the process that writes " + log_.generic_string() + " did not end, and is killed";
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::optional<int> ended() {
    const std::lock_guard lock(mutex_);
    return child_->ended();
  }

  mutable std::mutex mutex_;
  std::optional<Child> child_;
  fs::path log_;
  bool stopping_ = false;
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
};

study::Folders folders_of(const Options& options) {
  constexpr const char* trained = "trained";
  const auto name = options.name.empty() ? options.file.stem().string() : options.name;
  if (name == trained || name.starts_with('.') || name.find('/') != std::string::npos)
    throw graph::Error("a study cannot be called '" + name + "'; --name gives it another name");
  return {options.runs / "studies" / name, options.runs / "studies" / trained};
}

std::string expected(const study::Plan& plan, const study::Folders& folders,
                     const std::vector<study::Result>& results) {
  const auto done = std::ranges::count(results, study::Result::Status::done, &study::Result::status);
  const auto left = study::seconds_left(plan, folders, results);
  const auto trained = std::ranges::count_if(
      plan.trainings, [&](const auto& each) { return study::is_trained(each, folders); });
  return fmt::format("{}: {} cells, {} done; {} training runs, {} done; {}", folders.study.generic_string(),
                     results.size(), done, plan.trainings.size(), trained,
                     left ? "about " + study::duration(*left) + " left"
                          : "how long a training run takes will be known after the first");
}

// In the order in which they are worked off.
void print_plan(const study::Plan& plan, const study::Folders& folders,
                const std::vector<study::Result>& results) {
  fmt::print("{}\n", expected(plan, folders, results));
  std::vector<bool> shown(plan.trainings.size());
  for (std::size_t i = 0; i < plan.cells.size(); ++i) {
    const auto& cell = plan.cells[i];
    auto weights = plan.checkpoint.generic_string();
    const bool done = results[i].status == study::Result::Status::done;
    fmt::print("\n[{}/{}] {}, seed {}{}\n", i + 1, plan.cells.size(), study::label(plan.keys, cell.choices),
               cell.seed, done ? ": done" : "");
    if (cell.training) {
      const auto& training = plan.trainings[*cell.training];
      weights = folders.run(training).generic_string();
      if (!done && !shown[*cell.training] && !study::is_trained(training, folders))
        fmt::print("  {}\n", study::command(study::arguments_of(training, folders)));
      shown[*cell.training] = true;
    }
    if (done) continue;
    std::vector<std::string> arguments{"eval", weights};
    arguments.insert(arguments.end(), cell.arguments.begin(), cell.arguments.end());
    fmt::print("  {}\n", study::command(arguments));
  }
}

int ablate(const Options& options) {
  const auto folders = folders_of(options);
  const auto study = study::read(options.file);
  const auto plan = plan_of(study);
  if (options.dry_run) {
    print_plan(plan, folders, study::look(plan, folders));
    return 0;
  }
  fs::create_directories(folders.study);
  // All studies in there: they share training runs, and two at a time would slow each other.
  const auto held = RunFolder::reopen(folders.study.parent_path());
  auto results = study::look(plan, folders);
  spdlog::info(expected(plan, folders, results));

  const auto write = [&](const std::vector<std::string>& charts) {
    stages::write_whole(folders.study / "results.csv", study::csv(plan, results));
    const auto page = study::report(study, plan, results, charts);
    stages::write_whole(folders.study / "report.md", page);
    return page;
  };
  Processes processes;
  const Stopping stopping([&] { processes.stop(); }, [&] { return processes.whereabouts(); }, 30s);
  study::conduct(
      plan, folders,
      {.run = [&](const auto& arguments, const auto& log) { return processes.run(arguments, log); },
       .stopping = [&] { return processes.stopping(); },
       .changed = [&] { write({}); }},
      results);

  std::vector<std::string> names;
  for (const auto& [name, plot] : study::charts(study, plan, results, folders)) {
    stages::write_whole(folders.study / (name + ".svg"), study::to_svg(plot));
    study::write_png(plot, folders.study / (name + ".png"));
    names.push_back(name);
  }
  std::fputs(write(names).c_str(), stdout);
  std::fflush(stdout);
  if (processes.stopping()) spdlog::info("stopped; the same command goes on");
  spdlog::info("this is {}", (folders.study / "report.md").generic_string());
  return std::ranges::all_of(results,
                             [](const auto& each) { return each.status == study::Result::Status::done; })
             ? 0
             : 1;
}

}  // namespace

study::Plan plan_of(const study::Study& study) {
  return study::plan(study, {.eval = project_file("pipelines/eval.yaml"),
                             .quick = project_file("configs/eval-quick.yaml"),
                             .expand = expand_taps});
}

void add_ablate(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("ablate", "train and measure every combination of choices in a study");
  auto options = std::make_shared<Options>();
  command->add_option("study", options->file, "for example pipelines/studies/solvers.yaml")
      ->required()
      ->check(not_empty);
  command->add_flag("--dry-run", options->dry_run, "print the cells, the commands and the expected time");
  command->add_option("--name", options->name, "of the study's folder; else the file's");
  command->add_option("--runs", options->runs, "the folder around `studies`; else experiments")
      ->check(not_empty);
  command->callback([options, &chosen] { chosen = [options] { return ablate(*options); }; });
}

}  // namespace tools
