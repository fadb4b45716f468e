// study: what a study file says: which choices are compared, on which budget, by which figures.
//
//   pipeline: ../train.yaml                  # what is trained; or checkpoint: PATH, and nothing is
//   configs: [../../configs/seed.yaml]       # laid over the pipeline
//   set: {episodes.games: 8}                 # settings that all cells have
//   axes:                                    # every combination is tried,
//     noise.type: [logit_normal_noise, uniform_noise]
//     denoise.steps: [1, 2, 4, 8]
//     denoise.{schedule,shift}: [[shifted_linear, 3], [sd3, 3]]   # but these change together
//   seeds: [0, 1, 2]                         # and each combination once with each
//   budget: {steps: 1500}                    # of a training run; or {minutes: 10}
//   quick: true                              # measured with `run eval --quick`
//   report: [psnr_db.10, ball_error_px.10]   # figures, the most important first
//
// Paths are relative to the study file, but those that are values in `set` and `axes` to the current folder, as with
// --set. A combination with a seed is a cell.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "graph/pipeline.h"

namespace study {

/// "noise.type" and what it is set to, both as `--set` takes them.
struct Setting {
  std::string key, value;

  std::string text() const { return key + "=" + value; }
};

struct Axis {
  std::vector<std::string> keys;                  // several change together
  std::vector<std::vector<std::string>> choices;  // of each choice, a value for every key
};

struct Study {
  std::string file;                  // where all that was said stands
  std::string pipeline, checkpoint;  // one of the two is empty
  std::vector<std::string> configs;
  std::vector<Setting> set;
  std::vector<Axis> axes;
  std::vector<std::uint64_t> seeds{0};
  graph::Stop budget;  // where something is trained
  bool quick = false;
  std::vector<std::string> report;
};

/// Whether a YAML file is a study, and no pipeline. Throws graph::Error when it cannot be read.
bool is_study(const std::filesystem::path& file);

/// Throws graph::Error with all that is wrong with the file by itself; whether its settings exist is for plan().
Study read(const std::filesystem::path& file);

}  // namespace study
