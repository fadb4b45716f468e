// plan: combinations, digests, commands.
#include "tools/study/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "stages/find_checkpoint.h"
#include "stages/model/schedule.h"
#include "stages/play/evaluations.h"

namespace study {
namespace {

// 64-bit FNV-1a: names, no secrets.
std::string digest(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return fmt::format("{:016x}", hash);
}

std::string digest_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw graph::Error(path.generic_string() + ": cannot be read");
  return digest(bytes);
}

// Where a value was said, in the study or nowhere, must not show.
graph::Value sorted(graph::Value value) {
  std::ranges::sort(value.entries, {}, &graph::Entry::key);
  for (auto& entry : value.entries) entry.value = sorted(std::move(entry.value));
  return value;
}

// And values as they were understood: 1.0 is 1.
std::string text_of(const graph::Pipeline& pipeline) {
  auto merged = pipeline.merged;
  for (const auto& stage : pipeline.stages) {
    auto* params = stage.params.get();
    auto& own = *merged.find("stages")->find(stage.name);
    for (const auto& parameter : stage.type->parameters)
      (own.find(parameter.name) ? own : merged).set(parameter.name, parameter.encode(params));
    for (const auto& use : stage.type->blocks)
      if (auto* block = merged.find(use.block))
        for (const auto& parameter : graph::blocks().at(use.block).parameters)
          block->set(parameter.name, parameter.encode(use.member(params)));
  }
  return graph::to_yaml(sorted(std::move(merged)));
}

// Every combination of choices, the last axis' changing first.
std::vector<std::vector<Setting>> combine(const std::vector<Axis>& axes) {
  std::vector<std::vector<Setting>> all(1);
  for (const auto& axis : axes) {
    std::vector<std::vector<Setting>> longer;
    for (const auto& begun : all)
      for (const auto& choice : axis.choices) {
        auto& combination = longer.emplace_back(begun);
        for (std::size_t k = 0; k < choice.size(); ++k) combination.push_back({axis.keys[k], choice[k]});
      }
    all = std::move(longer);
  }
  return all;
}

std::vector<std::string> values_of(const std::vector<Setting>& settings) {
  std::vector<std::string> values;
  for (const auto& setting : settings) values.push_back(setting.value);
  return values;
}

class Planner {
 public:
  Planner(const Study& study, const Project& project) : study_(study), project_(project) {
    for (const auto& stage : graph::load({.file = project.eval}).stages) played_.insert(stage.name);
  }

  Plan run() {
    plan_.seeds = study_.seeds.size();
    for (const auto& axis : study_.axes)
      for (const auto& key : axis.keys) {
        plan_.keys.push_back(key);
        if (!is_played(key)) plan_.training_keys.push_back(key);
      }
    if (study_.pipeline.empty()) {
      plan_.checkpoint = stages::find_checkpoint(study_.checkpoint, study_.file + ": checkpoint");
      weights_ = digest_of_file(plan_.checkpoint);
    }
    check_size();
    for (const auto seed : study_.seeds)
      for (const auto& combination : combine(study_.axes)) add_cell(combination, seed);
    return std::move(plan_);
  }

 private:
  void check_size() const {
    constexpr std::size_t most = 10'000;  // beyond that a study is a slip of the pen
    auto cells = study_.seeds.size();
    for (const auto& axis : study_.axes)
      if ((cells *= axis.choices.size()) > most)
        throw graph::Error(study_.file + ": more than " + std::to_string(most) +
                           " cells; expected fewer values, axes or seeds");
  }

  bool is_played(const std::string& key) const { return played_.contains(key.substr(0, key.find('.'))); }

  void add_cell(const std::vector<Setting>& combination, std::uint64_t seed) {
    std::vector<std::string> training, play;
    const auto give = [&](const Setting& setting) {
      const bool of_all = setting.key.find('.') == std::string::npos;
      if (is_played(setting.key) || of_all) play.push_back(setting.text());
      if (!is_played(setting.key)) training.push_back(setting.text());
      if (study_.pipeline.empty() && !is_played(setting.key) && !of_all)
        throw graph::Error(study_.file + ": '" + setting.key +
                           "' is a choice of training, and a study of a checkpoint trains nothing; name a "
                           "`pipeline:`, or take it out");
    };
    for (const auto& setting : study_.set) give(setting);
    for (const auto& setting : combination) give(setting);
    const auto seeded = "seed=" + std::to_string(seed);
    Cell cell{.choices = values_of(combination), .seed = seed};
    if (!study_.pipeline.empty()) {
      training.push_back(seeded);
      cell.training = training_with(training, combination);
      weights_ = plan_.trainings[*cell.training].id;
      if (!plugins_.empty()) play.insert(play.begin(), plugins_);
    }
    play.push_back(seeded);
    graph::Request request{.file = project_.eval, .overrides = play};
    if (study_.quick) {
      request.configs.push_back(project_.quick);
      cell.arguments.push_back("--quick");
    }
    add_settings(play, cell.arguments);
    const auto measured = load(request);
    check_schedule(*measured.merged.find("stages")->find("denoise"), cell);
    cell.id = digest(weights_ + "\n" + text_of(measured));
    if (!ids_.insert(cell.id).second)
      throw graph::Error(study_.file + ": two cells have the same settings: " +
                         label(plan_.keys, cell.choices) + "; take one out");
    plan_.cells.push_back(std::move(cell));
  }

  // The run with these settings, by index.
  std::size_t training_with(std::vector<std::string> settings, const std::vector<Setting>& combination) {
    const auto& budget = study_.budget;
    settings.push_back(budget.steps ? fmt::format("stop.steps={}", *budget.steps)
                                    : fmt::format("stop.minutes={}", *budget.minutes));
    const std::vector<std::filesystem::path> configs(study_.configs.begin(), study_.configs.end());
    const auto pipeline =
        load({.file = study_.pipeline, .configs = configs, .overrides = settings, .expand = project_.expand});
    if (!pipeline.resumes())
      throw graph::Error(
          study_.file + ": " + study_.pipeline +
          " keeps no checkpoint, so there is nothing to measure; expected a pipeline that trains");
    // `run eval` does not read the file that names them.
    if (const auto* plugins = pipeline.merged.find("plugins")) {
      plugins_ = "plugins=" + graph::to_yaml(*plugins);
      plugins_.pop_back();  // the end of the line
    }
    Training training{.id = digest(text_of(pipeline)), .budget = budget};
    const auto known = std::ranges::find(plan_.trainings, training.id, &Training::id);
    const auto index = static_cast<std::size_t>(known - plan_.trainings.begin());
    if (known != plan_.trainings.end()) return index;
    for (const auto& setting : combination)
      if (!is_played(setting.key)) training.choices.push_back(setting.value);
    training.arguments.push_back(study_.pipeline);
    training.arguments.insert(training.arguments.end(), study_.configs.begin(), study_.configs.end());
    add_settings(settings, training.arguments);
    plan_.trainings.push_back(std::move(training));
    return index;
  }

  // Whether the values go together, the denoiser asks when it starts, which is after training.
  void check_schedule(const graph::Value& denoiser, const Cell& cell) const {
    if (!stages::evaluations_per_frame(denoiser)) return;  // of a type that is not the project's
    model::Schedule schedule;
    int steps = 0;
    const auto take = [&]<class T>(const char* key, T& value) {
      value = graph::Codec<T>::decode(*denoiser.find(key));
    };
    take("schedule", schedule.schedule);
    take("shift", schedule.shift);
    take("spacing", schedule.spacing);
    take("terminal", schedule.terminal);
    take("rho", schedule.rho);
    take("levels", schedule.levels);
    take("steps", steps);
    try {
      model::noise_levels(schedule, steps);
    } catch (const std::invalid_argument& error) {
      throw graph::Error(study_.file + ": " + label(plan_.keys, cell.choices) + ": " + error.what());
    }
  }

  static void add_settings(const std::vector<std::string>& settings, std::vector<std::string>& arguments) {
    for (const auto& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
  }

  // What is wrong with a setting is said with the study that makes it.
  graph::Pipeline load(const graph::Request& request) const {
    try {
      return graph::load(request);
    } catch (const graph::Error& error) {
      constexpr std::string_view set = "--set ";
      auto problems = error.problems();
      for (auto& problem : problems)
        if (auto& file = problem.place.file; file.starts_with(set))
          file = study_.file + ": " + file.substr(set.size());
      throw graph::Error(std::move(problems));
    }
  }

  const Study& study_;
  const Project& project_;
  std::set<std::string> played_;  // the stages of play
  std::string weights_;           // what is measured, as a digest
  std::string plugins_;           // of the training pipeline, as --set takes them; "" for none
  std::set<std::string> ids_;     // of cells
  Plan plan_;
};

}  // namespace

Plan plan(const Study& study, const Project& project) { return Planner(study, project).run(); }

std::vector<std::vector<std::size_t>> combinations(const Plan& plan) {
  std::vector<std::vector<std::size_t>> all(plan.cells.size() / plan.seeds);
  for (std::size_t i = 0; i < plan.cells.size(); ++i) all[i % all.size()].push_back(i);
  return all;
}

std::string label(const std::vector<std::string>& keys, const std::vector<std::string>& choices) {
  std::vector<std::string> settings;
  for (std::size_t k = 0; k < keys.size(); ++k) settings.push_back(keys[k] + "=" + choices[k]);
  return graph::join(settings);
}

std::string command(const std::vector<std::string>& arguments) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
  std::string text = "./run";
  for (const auto& argument : arguments) {
    text += ' ';
    if (!argument.empty() && argument.find_first_not_of(plain) == std::string::npos) {
      text += argument;
      continue;
    }
    text += '\'';
    for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += '\'';
  }
  return text;
}

}  // namespace study
