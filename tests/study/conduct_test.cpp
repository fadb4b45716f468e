// conduct_test: cells are worked off once, whatever comes between.
#include "tools/study/conduct.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "stages/model/safetensors.h"
#include "stages/train/resume_file.h"
#include "tests/study/lab.h"

namespace {

namespace fs = std::filesystem;
using study::Result;
using tests::four_cells;
using tests::Lab;
using Status = Result::Status;
using Texts = std::vector<std::string>;

bool holds(const Texts& arguments, const std::string& argument) {
  return std::ranges::find(arguments, argument) != arguments.end();
}

std::string after(const Texts& arguments, const std::string& option) {
  return *std::next(std::ranges::find(arguments, option));
}

// Does at once what `./run` would do.
struct Stub {
  int run(const Texts& arguments, const fs::path& log) {
    calls.push_back(arguments);
    std::ofstream(log) << "one line\nand the last\n";
    if (calls.size() == interrupted_at) stopping = true;
    if (stopping || (!fails.empty() && holds(arguments, fails))) return fails_with;
    if (arguments[0] == "eval") {
      std::ofstream(after(arguments, "--json")) << R"({"psnr_db": {"10": 31.5}})";
    } else {
      train(holds(arguments, "--runs") ? fs::path(after(arguments, "--runs")) / after(arguments, "--name")
                                       : fs::path(arguments[0]));
    }
    return 0;
  }

  // Leaves a run as a kill does that comes before the last index is written.
  void train(const fs::path& run_folder) const {
    using Facts = std::map<std::string, std::string>;
    const auto folder = run_folder / "checkpoints";
    fs::create_directories(folder);
    const auto write = [](const fs::path& path, const Facts& facts) {
      model::write_safetensors(path, {.tensors = {}, .metadata = facts});
    };
    write(folder / "step-000005.safetensors", Facts{{"val_loss", "0.1"}});
    write(folder / "step-000009.safetensors", Facts{{"val_loss", "0.2"}});
    write(stages::resume_file(run_folder), Facts{{"step", "9"}, {"seconds", seconds}});
    std::ofstream(folder / "index.json")
        << R"({"latest": "step-000005.safetensors", "best_first": [{"file": "step-000005.safetensors", "val_loss": 0.1}]})";
  }

  // What is known of the cells when it has worked as far as it could.
  std::vector<Result> conduct(const study::Plan& plan, const study::Folders& folders) {
    auto results = study::look(plan, folders);
    study::conduct(plan, folders,
                   {.run = [&](const auto& arguments, const auto& log) { return run(arguments, log); },
                    .stopping = [&] { return stopping; },
                    .changed = [&] { ++changes; }},
                   results);
    return results;
  }

  std::vector<Texts> calls;
  std::string fails;            // what has this argument
  int fails_with = 1;           // exit code
  std::string seconds = "600";  // that a run trains for
  std::size_t interrupted_at = 0;
  bool stopping = false;
  int changes = 0;
};

std::ptrdiff_t count(const std::vector<Result>& results, Status status) {
  return std::ranges::count(results, status, &Result::status);
}

TEST(Conduct, DoesEachCellOnceAndFindsItAgain) {
  const Lab lab;
  const auto plan = lab.plan(four_cells);
  Stub stub;
  const auto results = stub.conduct(plan, lab.folders());
  EXPECT_EQ(count(results, Status::done), 4);
  EXPECT_EQ(stub.calls.size(), 4u);
  EXPECT_EQ(stub.changes, 4);
  EXPECT_EQ(results[3].figures.at("psnr_db").at("10"), 31.5);
  std::ifstream file(lab.folders().cell(plan.cells[1]) / "command.txt");
  const std::string command{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(command.find("w.safetensors --quick --set denoise.steps=2 --set seed=0\n"), std::string::npos)
      << command;

  const auto again = stub.conduct(plan, lab.folders());
  EXPECT_EQ(count(again, Status::done), 4);
  EXPECT_EQ(again[3].figures.dump(), results[3].figures.dump());
  EXPECT_EQ(stub.calls.size(), 4u);

  // One value more: two cells more.
  const auto wider = lab.plan(
      "checkpoint: w.safetensors\naxes: {denoise.steps: [1, 2, 3]}\nseeds: [0, 1]\nquick: true\nreport: "
      "[psnr_db.10]\n");
  EXPECT_EQ(count(stub.conduct(wider, lab.folders()), Status::done), 6);
  EXPECT_EQ(stub.calls.size(), 6u);
}

TEST(Conduct, AFailingCellIsMarkedAndTheOthersAreDone) {
  const Lab lab;
  const auto plan = lab.plan(four_cells);
  Stub stub{.fails = "denoise.steps=2"};
  const auto results = stub.conduct(plan, lab.folders());
  EXPECT_EQ(count(results, Status::done), 2);
  EXPECT_EQ(count(results, Status::failed), 2);
  EXPECT_EQ(results[1].status, Status::failed);
  EXPECT_EQ(results[1].complaint.rfind("and the last (", 0), 0u) << results[1].complaint;
  // The next time it is tried again.
  stub.fails.clear();
  EXPECT_EQ(count(stub.conduct(plan, lab.folders()), Status::done), 4);
  EXPECT_EQ(stub.calls.size(), 6u);
}

TEST(Conduct, ACellWhoseProcessWasKilledSaysByWhat) {
  const Lab lab;
  Stub stub{.fails = "denoise.steps=2", .fails_with = 137};
  const auto results = stub.conduct(lab.plan(four_cells), lab.folders());
  EXPECT_EQ(results[1].complaint.rfind("killed by signal 9, after: and the last (", 0), 0u)
      << results[1].complaint;
}

TEST(Conduct, WhatIsInterruptedStaysOpenAndIsDoneNextTime) {
  const Lab lab;
  const auto plan = lab.plan(four_cells);
  Stub stub{.interrupted_at = 3};
  const auto results = stub.conduct(plan, lab.folders());
  EXPECT_EQ(count(results, Status::done), 2);
  EXPECT_EQ(count(results, Status::open), 2);
  EXPECT_EQ(stub.calls.size(), 3u);
  Stub next;
  EXPECT_EQ(count(next.conduct(plan, lab.folders()), Status::done), 4);
  EXPECT_EQ(next.calls.size(), 2u);
}

TEST(Conduct, ABrokenResultIsMeasuredAgain) {
  const Lab lab;
  const auto plan = lab.plan(four_cells);
  Stub stub;
  stub.conduct(plan, lab.folders());
  std::ofstream(lab.folders().cell(plan.cells[2]) / "result.json") << "{\"figures\": ";
  EXPECT_EQ(count(stub.conduct(plan, lab.folders()), Status::done), 4);
  EXPECT_EQ(stub.calls.size(), 5u);
}

TEST(Conduct, CellsThatShareARunTrainItOnce) {
  const Lab lab;
  const auto plan = lab.plan(tests::training("{noise.std: [1, 2], denoise.steps: [1, 2]}"));
  Stub stub;
  const auto results = stub.conduct(plan, lab.folders());
  EXPECT_EQ(count(results, Status::done), 4);
  ASSERT_EQ(stub.calls.size(), 6u);
  EXPECT_EQ(after(stub.calls[0], "--name"), plan.trainings[0].id);
  EXPECT_EQ(stub.calls[1][1], lab.folders().run(plan.trainings[0]).string());
  EXPECT_EQ(results[0].figures.at("val_loss"), 0.2);  // of the newest weights, whatever the index says
}

TEST(Conduct, ARunThatEndsBeforeItsBudgetIsNotMeasured) {
  const Lab lab;
  const auto plan = lab.plan(tests::training("{noise.std: [1]}"));
  Stub stub{.seconds = "30"};
  const auto results = stub.conduct(plan, lab.folders());
  EXPECT_EQ(results[0].status, Status::failed);
  EXPECT_EQ(results[0].complaint.rfind("training: ended before its budget (", 0), 0u) << results[0].complaint;
  EXPECT_EQ(stub.calls.size(), 1u);
  // The next time it goes on.
  Stub next;
  EXPECT_EQ(count(next.conduct(plan, lab.folders()), Status::done), 1);
  EXPECT_EQ(next.calls[0], Texts{lab.folders().run(plan.trainings[0]).string()});
}

TEST(Conduct, ARunThatFailsFailsItsCellsOnceAndIsGoneOnWith) {
  const Lab lab;
  const auto plan = lab.plan(tests::training("{noise.std: [1, 2], denoise.steps: [1, 2]}"));
  Stub stub{.fails = "noise.std=1"};
  const auto results = stub.conduct(plan, lab.folders());
  EXPECT_EQ(count(results, Status::failed), 2);
  EXPECT_EQ(stub.calls.size(), 4u);  // a run that fails, a run and its two cells
  EXPECT_EQ(results[0].complaint.rfind("training: and the last (", 0), 0u) << results[0].complaint;

  Stub next;
  const auto folder = lab.folders().run(plan.trainings[0]);
  fs::create_directories(folder);  // as far as it came
  next.conduct(plan, lab.folders());
  ASSERT_FALSE(next.calls.empty());
  EXPECT_EQ(next.calls[0], Texts{folder.string()});
}

TEST(Conduct, KnowsHowLongItWillTake) {
  const Lab lab;
  const auto left = [&](const study::Plan& plan, const std::vector<Result>& results) {
    return study::seconds_left(plan, lab.folders(), results);
  };
  const auto four = lab.plan(four_cells);
  std::vector<Result> results(4);
  EXPECT_EQ(left(four, results), 4 * 60);
  results[0] = {.status = Status::done, .eval_seconds = 10};
  EXPECT_EQ(left(four, results), 3 * 10);
  results[1].status = Status::failed;
  EXPECT_EQ(left(four, results), 2 * 10);

  const std::string axes = "{noise.std: [1, 2], denoise.steps: [1, 2]}";
  results.assign(4, {});
  EXPECT_EQ(left(lab.plan(tests::training(axes)), results), 2 * 600 + 4 * 900);
  const auto by_steps = lab.plan(tests::training(axes, "{steps: 9}"));
  EXPECT_FALSE(left(by_steps, results));
  // The first run's cells are done, and say how long a run takes.
  results[0] = results[1] = {.status = Status::done, .train_seconds = 50, .eval_seconds = 10};
  EXPECT_EQ(left(by_steps, results), 50 + 2 * 10);
}

TEST(Conduct, DurationsReadWell) {
  EXPECT_EQ(study::duration(7.4), "7 s");
  EXPECT_EQ(study::duration(600), "10 min");
  EXPECT_EQ(study::duration(3.5 * 3600 + 29), "3 h 30 min");
}

}  // namespace
