// study: from YAML to a Study.
#include "tools/study/study.h"

#include <algorithm>
#include <set>

#include "tools/study/known_figures.h"

namespace study {
namespace {

namespace fs = std::filesystem;
using graph::Entry;
using graph::Problem;
using graph::Value;

// As `--set` takes it.
std::string text_of(const Value& value) {
  Value list;  // is written in one line, with all that is in it
  list.kind = Value::Kind::list;
  list.items.push_back(value);
  const auto text = graph::to_yaml(list);  // "[…]\n"
  return text.substr(1, text.size() - 3);
}

// "denoise.{schedule,shift}" → denoise.schedule, denoise.shift
std::vector<std::string> keys_of(const Entry& axis) {
  const auto& key = axis.key;
  const auto open = key.find('{');
  if (open == std::string::npos) return {key};
  if (!key.ends_with('}')) throw graph::Error(axis.place, "axis '" + key + "': expected stage.{key,key}");
  std::vector<std::string> keys;
  for (auto at = open + 1; at < key.size();) {
    const auto end = std::min(key.find(',', at), key.size() - 1);
    const auto first = std::min(key.find_first_not_of(' ', at), end);
    keys.push_back(key.substr(0, open) + key.substr(first, end - first));
    at = end + 1;
  }
  return keys;
}

class Reader {
 public:
  explicit Reader(const fs::path& file) : file_(file), root_(graph::read_yaml(file, file.generic_string())) {}

  Study run() {
    if (!root_.is_map()) throw graph::Error(root_.place, "expected a study, got " + root_.describe());
    study_.file = file_.generic_string();
    graph::Schema<Study> schema;
    schema.param("pipeline", &Study::pipeline, "")
        .param("checkpoint", &Study::checkpoint, "")
        .param("configs", &Study::configs, "")
        .param("seeds", &Study::seeds, "")
        .param("quick", &Study::quick, "")
        .param("report", &Study::report, "");
    graph::decode(schema.parameters, {"set", "axes", "budget"}, &study_, root_, "study", problems_);
    if (const auto* set = root_.find("set")) read_set(*set);
    if (const auto* axes = root_.find("axes")) read_axes(*axes);
    if (const auto* budget = root_.find("budget")) read_budget(*budget);
    check();
    if (!problems_.empty()) throw graph::Error(std::move(problems_));
    study_.pipeline = beside(study_.pipeline);
    study_.checkpoint = beside(study_.checkpoint);
    for (auto& config : study_.configs) config = beside(config);
    return std::move(study_);
  }

 private:
  void problem(const graph::Place& place, const std::string& text) { problems_.push_back({place, text}); }

  std::string beside(const std::string& path) const {
    return path.empty() ? path : (file_.parent_path() / path).lexically_normal().generic_string();
  }

  void read_set(const Value& set) {
    if (!set.is_map())
      return problem(set.place, "'set' must be a map from stage.key to value, got " + set.describe());
    for (const auto& entry : set.entries) {
      check_key(entry.key, entry.place);
      study_.set.push_back({entry.key, text_of(entry.value)});
    }
  }

  void read_axes(const Value& axes) {
    if (!axes.is_map())
      return problem(axes.place, "'axes' must be a map from stage.key to a list, got " + axes.describe());
    if (axes.entries.empty()) problem(axes.place, "'axes' is empty, so there is nothing to compare");
    std::set<std::string> seen;
    for (const auto& entry : axes.entries) {
      try {
        Axis axis{keys_of(entry), {}};
        for (const auto& key : axis.keys) {
          check_key(key, entry.place);
          if (key.find('.') == std::string::npos)
            problem(entry.place, "axis '" + key + "': expected stage.key or block.key");
          if (!seen.insert(key).second) problem(entry.place, "axis '" + key + "' is there twice");
        }
        if (!entry.value.is_list() || entry.value.items.empty())
          throw graph::Error(entry.value.place, "axis '" + entry.key + "': expected a list of values, got " +
                                                    entry.value.describe());
        for (const auto& item : entry.value.items) axis.choices.push_back(choice_of(item, axis.keys));
        study_.axes.push_back(std::move(axis));
      } catch (const graph::Error& error) {
        problems_.insert(problems_.end(), error.problems().begin(), error.problems().end());
      }
    }
  }

  static std::vector<std::string> choice_of(const Value& item, const std::vector<std::string>& keys) {
    if (keys.size() == 1) {
      if (item.kind == Value::Kind::null)
        throw graph::Error(item.place, "axis '" + keys[0] + "': expected a value, got " + item.describe());
      return {text_of(item)};
    }
    if (!item.is_list() || item.items.size() != keys.size())
      throw graph::Error(item.place, "expected a list of " + std::to_string(keys.size()) + " values, for " +
                                         graph::join(keys) + "; got " + item.describe());
    std::vector<std::string> choice;
    for (const auto& value : item.items) choice.push_back(text_of(value));
    return choice;
  }

  void check_key(const std::string& key, const graph::Place& place) {
    const auto first = key.substr(0, key.find('.'));
    if (first == "seed") problem(place, "'seed' is set by `seeds:`");
    if (first == "stop") problem(place, "'stop' is set by `budget:`");
  }

  void read_budget(const Value& budget) {
    if (!budget.is_map())
      return problem(budget.place, "'budget' must be {steps: N} or {minutes: M}, got " + budget.describe());
    struct Limits {
      std::int64_t steps = 0;
      double minutes = 0;
    } limits;
    graph::Schema<Limits> schema;
    schema.param("steps", &Limits::steps, "", graph::at_least(1))
        .param("minutes", &Limits::minutes, "", graph::above(0));
    const auto before = problems_.size();
    graph::decode(schema.parameters, {}, &limits, budget, "'budget'", problems_);
    if (problems_.size() > before) return;
    if ((limits.steps > 0) == (limits.minutes > 0))
      problem(budget.place, "'budget' must be either steps or minutes");
    if (limits.steps > 0) study_.budget.steps = static_cast<std::uint64_t>(limits.steps);
    if (limits.minutes > 0) study_.budget.minutes = limits.minutes;
  }

  // What the keys ask of each other.
  void check() {
    const auto place_of = [&](const char* key) {
      const auto* value = root_.find(key);
      return value ? value->place : root_.place;
    };
    const bool trains = !study_.pipeline.empty();
    if (trains == !study_.checkpoint.empty())
      problem(place_of("checkpoint"), "expected either `pipeline:`, to train, or `checkpoint:`, to measure");
    if (trains && !root_.find("budget"))
      problem(root_.place, "no `budget:`; expected {steps: N} or {minutes: M} for a training run");
    if (!trains && root_.find("budget"))
      problem(place_of("budget"), "a study of a checkpoint trains nothing, so it has no budget; take it out");
    if (!trains && !study_.configs.empty())
      problem(place_of("configs"), "configs are laid over a `pipeline:`, and there is none; take them out");
    if (!root_.find("axes"))
      problem(root_.place, "no `axes:`; expected a map from stage.key to a list of values");
    if (study_.seeds.empty() ||
        std::set(study_.seeds.begin(), study_.seeds.end()).size() != study_.seeds.size())
      problem(place_of("seeds"), "expected at least one seed, and each once");
    if (study_.report.empty())
      problem(place_of("report"), "no `report:`; expected a list of figures, for example [psnr_db.10]");
    std::vector<std::string> names;
    for (const auto& figure : known_figures()) names.push_back(figure.name);
    for (const auto& name : study_.report)
      if (std::ranges::find(names, name) == names.end())
        problem(place_of("report"), "no figure '" + name + "'" + graph::did_you_mean(name, names) + " (" +
                                        graph::join(names) + ")");
    if (!trains && std::ranges::find(study_.report, "val_loss") != study_.report.end())
      problem(place_of("report"), "val_loss is measured while training, and this study trains nothing");
  }

  const fs::path file_;
  const Value root_;
  Study study_;
  std::vector<Problem> problems_;
};

}  // namespace

bool is_study(const fs::path& file) {
  return graph::read_yaml(file, file.generic_string()).find("axes") != nullptr;
}

Study read(const fs::path& file) { return Reader(file).run(); }

}  // namespace study
