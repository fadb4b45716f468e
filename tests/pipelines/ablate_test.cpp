// ablate_test: studies from outside: planned, worked off, killed, gone on with.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <sstream>
#include <thread>

#include "tests/folder.h"
#include "tests/pipelines/process.h"
#include "tests/tiny_model.h"
#include "tools/study/known_figures.h"

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using tests::Folder;
using tests::has;
using tests::Process;
using tests::run;

std::string text_in(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::ptrdiff_t lines_with(const std::string& text, const std::string& part) {
  std::istringstream stream(text);
  std::ptrdiff_t n = 0;
  for (std::string line; std::getline(stream, line);) n += has(line, part) ? 1 : 0;
  return n;
}

// Games that take no time.
const std::string short_games = "device: cpu, episodes.games: 2, episodes.frames: 10, episodes.free_games: 0";

// A study in a folder, whose results go there too.
class Studied {
 public:
  explicit Studied(const std::string& text) {
    std::ofstream(folder_ / "s.yaml") << text << "quick: true\nreport: [psnr_db.10, ball_error_px.10]\n";
  }

  std::vector<std::string> ablate(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{"ablate", (folder_ / "s.yaml").string(), "--runs", folder_.string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string in(const std::string& name) const { return text_in(folder_ / "studies/s" / name); }
  // What its training runs print.
  std::vector<fs::path> training_logs() const {
    std::vector<fs::path> all;
    if (fs::exists(trained()))
      for (const auto& entry : fs::directory_iterator(trained()))
        if (entry.path().extension() == ".log") all.push_back(entry.path());
    return all;
  }
  // How many runs have something to go on from.
  std::ptrdiff_t begun() const {
    std::ptrdiff_t n = 0;
    for (const auto& entry : fs::directory_iterator(trained()))
      n += fs::exists(entry.path() / "checkpoints/resume.safetensors") ? 1 : 0;
    return n;
  }
  // Of what is done, when each result was written.
  std::map<fs::path, fs::file_time_type> done() const {
    std::map<fs::path, fs::file_time_type> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "studies"))
      if (entry.path().filename() == "result.json") all[entry.path()] = entry.last_write_time();
    return all;
  }
  fs::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  fs::path trained() const { return folder_ / "studies/trained"; }

  Folder folder_;
};

// Whether it came to be in time; machines may be slow.
bool comes(const std::function<bool()>& it) {
  const auto end = std::chrono::steady_clock::now() + 10min;
  while (!it()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

// Runs of some steps, and from each frames of one step and more.
Studied trained_cells(int steps, const std::string& axes = "{noise.mean: [0, 0.5], denoise.steps: [1, 2]}") {
  return Studied("pipeline: " PROJECT_DIR
                 "/pipelines/train.yaml\n"
                 "configs: [" PROJECT_DIR
                 "/configs/test-tiny.yaml]\n"
                 "set: {" +
                 short_games +
                 ", clips.batch: 4, clips.held_out: 4, saved.every: 100}\n"
                 "axes: " +
                 axes + "\nbudget: {steps: " + std::to_string(steps) + "}\n");
}

// Four cells of a network that has learned nothing; those with frames of another size than the model's fail.
std::string measured_cells(const Folder& folder, const std::string& axes) {
  const auto path = folder / "w.safetensors";
  tests::save_fresh(path);
  return "checkpoint: " + path.string() + "\nset: {" + short_games + "}\naxes: " + axes + "\n";
}

TEST(Ablate, ShowsItsPlanAndLeavesNothing) {
  const auto studied = trained_cells(20);
  const auto shown = run(studied.ablate({"--dry-run"}));
  EXPECT_EQ(shown.code, 0) << shown.output;
  EXPECT_TRUE(has(shown.output,
                  "4 cells, 0 done; 2 training runs, 0 done; how long a training run takes will be "
                  "known after the first"))
      << shown.output;
  EXPECT_TRUE(has(shown.output, "[3/4] noise.mean=0.5, denoise.steps=1, seed 0\n")) << shown.output;
  EXPECT_EQ(lines_with(shown.output, "./run /"), 2) << shown.output;
  EXPECT_EQ(lines_with(shown.output, "./run eval "), 4) << shown.output;
  EXPECT_EQ(lines_with(shown.output, "stop.steps=20"), 2) << shown.output;
  EXPECT_EQ(lines_with(shown.output, " --runs " + (studied / "studies/trained").string() + " --name "), 2)
      << shown.output;
  EXPECT_FALSE(fs::exists(studied / "studies"));
}

TEST(Ablate, EveryShippedStudyIsFineAndCanBePlanned) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(PROJECT_DIR "/pipelines/studies"))
    files.push_back(entry.path());
  ASSERT_GE(files.size(), 5u);
  auto arguments = files;
  arguments.insert(arguments.begin(), "check");
  const auto checked = run(arguments);
  EXPECT_EQ(checked.code, 0) << checked.output;
  EXPECT_EQ(lines_with(checked.output, ": fine, "), static_cast<std::ptrdiff_t>(files.size()))
      << checked.output;
  const Folder nothing_done;
  for (const auto& file : files) {
    const auto shown = run({"ablate", file, "--dry-run", "--runs", nothing_done.string()});
    EXPECT_EQ(shown.code, 0) << shown.output;
    EXPECT_TRUE(has(shown.output, "./run eval ")) << shown.output;
  }
}

TEST(Ablate, MeasuresWithThePluginsThatItTrainsWith) {
  const auto pipeline = text_in(PROJECT_DIR "/pipelines/train.yaml");
  const Studied studied("pipeline: p.yaml\nconfigs: [" PROJECT_DIR
                        "/configs/cpu-small.yaml]\nbudget: {steps: 1}\naxes: {noise.type: [sine_noise]}\n");
  std::ofstream(studied / "p.yaml") << "plugins: [" PLUGIN "]\n" << pipeline.substr(pipeline.find("stages:"));
  const auto shown = run(studied.ablate({"--dry-run"}));
  EXPECT_EQ(shown.code, 0) << shown.output;
  const auto plugin = fs::weakly_canonical(PLUGIN).generic_string();
  EXPECT_TRUE(has(shown.output, " --quick --set 'plugins=[" + plugin + "]' --set seed=0\n")) << shown.output;
}

TEST(Ablate, SaysWhatIsWrong) {
  const Folder folder;
  EXPECT_EQ(run({"ablate"}).code, 2);
  EXPECT_EQ(run({"ablate", (folder / "no.yaml").string()}).code, 2);
  const Studied studied("checkpoint: w.safetensors\naxes: {denoise.stepz: [1]}\n");
  EXPECT_EQ(run(studied.ablate()).code, 2);
  std::ofstream(studied / "w.safetensors") << "weights";
  const auto unknown = run({"check", (studied / "s.yaml").string()});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_TRUE(has(unknown.output, "s.yaml: denoise.stepz=1: stage 'denoise': unknown parameter 'stepz'"))
      << unknown.output;
  const auto named = run(studied.ablate({"--name", "trained"}));
  EXPECT_TRUE(has(named.output, "cannot be called 'trained'")) << named.output;
}

TEST(AblateSlow, TrainsMeasuresAndReports) {
  const auto studied = trained_cells(10);
  const auto done = run(studied.ablate());
  ASSERT_EQ(done.code, 0) << done.output;
  EXPECT_TRUE(has(done.output, "[4/4] noise.mean=0.5, denoise.steps=2, seed 0: done in ")) << done.output;
  EXPECT_TRUE(has(done.output, "with one seed nothing can be said")) << done.output;

  const auto csv = studied.in("results.csv");
  EXPECT_EQ(lines_with(csv, ",done,"), 4) << csv;
  EXPECT_TRUE(has(studied.in("report.md"), "4 of 4 cells are done"));
  for (const auto* chart : {"psnr_db.10", "training", "loss_by_level"})
    for (const auto* ending : {".svg", ".png"})
      EXPECT_GT(studied.in(chart + std::string(ending)).size(), 1000u) << chart << ending;

  // Every figure that can be reported is measured.
  const auto results = studied.done();
  ASSERT_EQ(results.size(), 4u);
  const auto cell = results.begin()->first.parent_path();
  const auto figures = stages::Figures::parse(text_in(cell / "result.json")).at("figures");
  for (const auto& figure : study::known_figures()) {
    const auto dot = figure.name.find('.');
    const auto& found = figures.at(figure.name.substr(0, dot));
    EXPECT_TRUE(dot == std::string::npos || found.contains(figure.name.substr(dot + 1))) << figure.name;
  }
  EXPECT_EQ(lines_with(text_in(cell / "command.txt"), "./run "), 2);
  const auto again = run({"check", (cell / "pipeline.yaml").string()});
  EXPECT_EQ(again.code, 0) << again.output;

  // Nothing is left to do.
  EXPECT_EQ(run(studied.ablate()).code, 0);
  EXPECT_EQ(studied.done(), results);
}

TEST(AblateSlow, AKilledStudyGoesOnWithoutRepeatingWhatIsDone) {
  const auto studied = trained_cells(600, "{noise.mean: [0, 0.25, 0.5], denoise.steps: [1, 2, 3, 4]}");
  const auto killed_when = [&](const std::string& said, const std::function<bool()>& it) {
    Process process(studied.ablate());
    ASSERT_TRUE(process.printed(said, 10min)) << process.output();
    ASSERT_TRUE(comes(it)) << process.output();
    process.signal(SIGKILL);
    process.wait();
  };
  // In the middle of the second run, which then has something to go on from.
  killed_when("[4/12] noise.mean=0, denoise.steps=4, seed 0: done", [&] { return studied.begun() == 2; });
  auto before = studied.done();
  ASSERT_EQ(before.size(), 4u);
  const auto shown = run(studied.ablate({"--dry-run"}));
  EXPECT_TRUE(has(shown.output, "12 cells, 4 done; 3 training runs, ")) << shown.output;
  // And half-way, while a cell is measured.
  killed_when("[7/12] noise.mean=0.25, denoise.steps=3, seed 0: measuring", [] { return true; });
  const auto half = studied.done();
  EXPECT_GE(half.size(), 6u);
  before.insert(half.begin(), half.end());

  Process next(studied.ablate());
  ASSERT_EQ(next.wait(10min), 0) << next.output();
  EXPECT_FALSE(has(next.output(), "[6/12]")) << next.output();
  std::string said;
  for (const auto& log : studied.training_logs()) said += text_in(log);
  EXPECT_EQ(lines_with(said, "going on from step "), 1) << said;
  EXPECT_EQ(lines_with(said, "going on from step 0"), 0) << said;
  auto after = studied.done();
  EXPECT_EQ(after.size(), 12u);
  for (const auto& [path, time] : before) EXPECT_EQ(after[path], time) << path;
}

TEST(AblateSlow, InterruptedItEndsItsProcessAndIsNotDone) {
  const auto studied = trained_cells(1'000'000);
  Process process(studied.ablate());
  ASSERT_TRUE(process.printed("[1/4] noise.mean=0, denoise.steps=1, seed 0: training")) << process.output();
  // One process only, of another study too: they share the runs.
  using Texts = std::vector<std::string>;
  for (const auto& more : {Texts{}, Texts{"--name", "other"}}) {
    const auto second = run(studied.ablate(more));
    EXPECT_EQ(second.code, 2) << second.output;
    EXPECT_TRUE(has(second.output, "is being written by another process")) << second.output;
  }
  // What others write into a run's log stays there.
  const auto logs = [&] { return studied.training_logs(); };
  ASSERT_TRUE(comes([&] { return logs().size() == 1 && has(text_in(logs()[0]), "run folder: "); }));
  std::ofstream(logs()[0], std::ios::app) << "a line from elsewhere\n";
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(40s), 1) << process.output();
  EXPECT_TRUE(has(process.output(), "the same command goes on")) << process.output();
  EXPECT_TRUE(has(studied.in("report.md"), "0 of 4 cells are done"));
  EXPECT_TRUE(studied.done().empty());
  EXPECT_EQ(lines_with(text_in(logs()[0]), "a line from elsewhere"), 1) << text_in(logs()[0]);
}

TEST(AblateSlow, AFailingCellIsMarkedAndTheOthersAreMeasured) {
  const Folder folder;
  const Studied studied(measured_cells(folder, "{episodes.height: [24, 30], denoise.steps: [1, 2]}"));
  const auto done = run(studied.ablate());
  EXPECT_EQ(done.code, 1) << done.output;
  const auto csv = studied.in("results.csv");
  EXPECT_EQ(lines_with(csv, ",done,"), 2) << csv;
  EXPECT_EQ(lines_with(csv, ",failed,"), 2) << csv;
  EXPECT_TRUE(has(studied.in("report.md"), "## Failed\n\n- episodes.height=30, denoise.steps=1, seed 0: "))
      << studied.in("report.md");
}

}  // namespace
