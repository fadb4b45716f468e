// plan: the cells of a study: what to train, what to measure, and by which commands.
//
// Settings of a stage that pipelines/eval.yaml has, as denoise.steps, are choices of play: they are made when a
// checkpoint is measured, so all of them share one training run. All others are choices of training. Settings without
// a stage, as device, are both.
//
// Runs and cells are named by a digest of all their settings, defaults included: equal settings are found again
// whatever else a study file says, in another study too, and a changed setting or budget is another cell. Of files that
// settings name (stepped.init, clips.path, plugins), the path counts and not what is in them; of the weights that a study
// without training measures, what is in them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/study/study.h"

namespace study {

/// What a study takes of the project without naming it.
struct Project {
  std::filesystem::path eval, quick;                 // pipelines/eval.yaml, configs/eval-quick.yaml
  std::function<void(graph::Value& merged)> expand;  // as in graph::Request
};

/// A training run.
struct Training {
  std::string id;
  std::vector<std::string> choices;    // on the axes that training has
  std::vector<std::string> arguments;  // of ./run, but for the folder
  graph::Stop budget;
};

/// A combination of choices with a seed: weights, measured.
struct Cell {
  std::string id;
  std::vector<std::string> choices;  // on all axes, as Plan::keys
  std::uint64_t seed = 0;
  std::optional<std::size_t> training;  // of Plan::trainings; nothing: the study's checkpoint is measured
  std::vector<std::string> arguments;   // of ./run eval CHECKPOINT
};

struct Plan {
  std::vector<std::string> keys, training_keys;  // of all axes, and of those that training has
  std::filesystem::path checkpoint;              // a file, where nothing is trained
  std::vector<Training> trainings;
  std::vector<Cell> cells;  // all combinations with the first seed, then with the next
  std::size_t seeds = 1;
};

/// Checks every combination as a run would, and whether the denoiser's noise levels exist, which a run asks when it
/// starts. Throws graph::Error with what is wrong, as two cells with the same settings.
Plan plan(const Study& study, const Project& project);

/// Of each combination its cells, by index: one for every seed.
std::vector<std::vector<std::size_t>> combinations(const Plan& plan);

/// "noise.type=uniform_noise, denoise.steps=4".
std::string label(const std::vector<std::string>& keys, const std::vector<std::string>& choices);

/// `./run ARGUMENTS` as a shell takes it.
std::string command(const std::vector<std::string>& arguments);

}  // namespace study
