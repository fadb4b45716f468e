// pipeline: from one merged Value to a plan.
#include "graph/pipeline.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <tuple>
#include <utility>

#include "graph/layers.h"
#include "graph/wiring.h"

namespace graph {
namespace {

constexpr std::size_t most_stages = 1000;
const std::vector<std::string> wiring_keys{"type", "from", "in_flight"};

bool is_name(const std::string& text) {
  const auto letter = [](unsigned char c) { return std::islower(c) || std::isdigit(c) || c == '_'; };
  return !text.empty() && text.size() <= 64 && std::islower(static_cast<unsigned char>(text[0])) &&
         std::ranges::all_of(text, letter);
}

class Loader {
 public:
  explicit Loader(Value merged) : merged_(std::move(merged)) {}

  Pipeline run() {
    const auto* stages = merged_.find("stages");
    if (!stages || stages->entries.empty())
      throw Error(stages ? stages->place : merged_.place,
                  "no stages; expected 'stages:' with at least one stage");
    if (stages->entries.size() > most_stages)
      throw Error(stages->place, std::to_string(stages->entries.size()) + " stages; a pipeline has at most " +
                                     std::to_string(most_stages));
    for (const auto& entry : stages->entries) read_stage(entry, *stages);
    read_top(*stages);
    wire(pipeline_, *stages, problems_);
    if (!problems_.empty()) throw Error(tidy(std::move(problems_)));
    fill_defaults();
    pipeline_.merged = std::move(merged_);
    return std::move(pipeline_);
  }

 private:
  void problem(const Place& place, const std::string& text) { problems_.push_back({place, text}); }

  void read_stage(const Entry& entry, const Value& all) {
    const auto who = "stage '" + entry.key + "'";
    if (!is_name(entry.key))
      problem(entry.place, who + ": a stage's name is lower-case letters, digits and _, at most 64 of them");
    if (blocks().contains(entry.key) || entry.key == "stop")
      problem(entry.place, who + ": the name belongs to a top-level block; choose another");
    if (!entry.value.is_map())
      return problem(entry.value.place, who + ": expected a map with 'type', got " + entry.value.describe());
    const auto* type = entry.value.find("type");
    if (!type) {
      std::vector<std::string> others;
      for (const auto& other : all.entries)
        if (other.value.find("type")) others.push_back(other.key);
      return problem(entry.place, who + ": no such stage in the pipeline, and no 'type' to make it one" +
                                      did_you_mean(entry.key, others));
    }
    if (!type->is_scalar())
      return problem(type->place, who + ": 'type' must be a name, got " + type->describe());
    const auto found = stage_types().find(type->scalar);
    if (found == stage_types().end()) {
      std::vector<std::string> names;
      for (const auto& known : stage_types()) names.push_back(known.first);
      return problem(type->place, who + ": unknown type '" + type->scalar + "'" +
                                      did_you_mean(type->scalar, names) + " (`run stages` lists them)");
    }
    StagePlan plan;
    plan.name = entry.key;
    plan.type = &found->second;
    plan.place = entry.place;
    plan.params = plan.type->default_params();
    read_shared(plan, entry.value);
    decode(plan.type->parameters, wiring_keys, plan.params.get(), entry.value, who, problems_);
    pipeline_.stages.push_back(std::move(plan));
  }

  // What the stage takes from the top level: single values it does not set itself, and whole blocks.
  void read_shared(const StagePlan& plan, const Value& own) {
    for (const auto& name : plan.type->shared) {
      read_.insert(name);
      const auto* value = merged_.find(name);
      if (!value || own.find(name)) continue;
      Value map;
      map.kind = Value::Kind::map;
      map.entries.push_back({name, value->place, *value});
      decode(plan.type->parameters, {}, plan.params.get(), map, "top level", problems_);
    }
    for (const auto& use : plan.type->blocks) {
      read_.insert(use.block);
      const auto* value = merged_.find(use.block);
      if (!value) continue;
      if (!value->is_map())
        problem(value->place, "'" + use.block + "' must be a map, got " + value->describe());
      else
        read_block(blocks().at(use.block), use.member(plan.params.get()), *value);
    }
  }

  void read_block(const Block& block, void* values, const Value& given) {
    const auto before = problems_.size();
    const auto who = "block '" + block.name + "'";
    decode(block.parameters, {}, values, given, who, problems_);
    if (problems_.size() > before) return;
    try {
      block.check(values);
    } catch (const std::exception& error) {
      const std::string text = error.what();
      const auto named = std::ranges::find_if(
          given.entries, [&](const Entry& entry) { return text.find(entry.key + " ") != std::string::npos; });
      problem(named == given.entries.end() ? given.place : named->place, who + ": " + text);
    }
  }

  void read_top(const Value& stages) {
    for (const auto& entry : merged_.entries) {
      if (entry.key == "stages" || entry.key == "plugins" || read_.contains(entry.key)) continue;
      if (entry.key == "stop") {
        read_stop(entry.value);
      } else if (stages.find(entry.key)) {
        problem(entry.place, "'" + entry.key + "' is a stage; its parameters belong below 'stages:'");
      } else if (is_known_anywhere(entry.key)) {
        problem(entry.place, "no stage of this pipeline reads '" + entry.key + "'; take it out");
      } else {
        std::vector<std::string> names{"stages", "stop", "configs", "headless", "plugins"};
        names.insert(names.end(), read_.begin(), read_.end());
        problem(entry.place, "unknown key '" + entry.key + "'" + did_you_mean(entry.key, names));
      }
    }
  }

  static bool is_known_anywhere(const std::string& key) {
    return blocks().contains(key) || std::ranges::any_of(stage_types(), [&](const auto& known) {
             return std::ranges::find(known.second.shared, key) != known.second.shared.end();
           });
  }

  void read_stop(const Value& value) {
    if (!value.is_map())
      return problem(value.place, "'stop' must be {steps: N} or {minutes: M}, got " + value.describe());
    struct Limits {
      std::int64_t steps = 0;
      double minutes = 0;
    } limits;
    Schema<Limits> schema;
    schema.param("steps", &Limits::steps, "", at_least(1)).param("minutes", &Limits::minutes, "", above(0));
    decode(schema.parameters, {}, &limits, value, "'stop'", problems_);
    if (limits.steps > 0 && limits.minutes > 0)
      problem(value.place, "'stop' has both steps and minutes; choose one");
    if (limits.steps > 0) pipeline_.stop.steps = static_cast<std::uint64_t>(limits.steps);
    if (limits.minutes > 0) pipeline_.stop.minutes = limits.minutes;
  }

  // The merged file says every value, so that a later build with other defaults runs it as it was.
  void fill_defaults() {
    std::set<std::string> added;  // top-level keys
    for (const auto& plan : pipeline_.stages) {
      for (const auto& parameter : plan.type->parameters) {
        if (merged_.find("stages")->find(plan.name)->find(parameter.name)) continue;
        auto value = parameter.encode(plan.params.get());
        auto* target = merged_.find("stages")->find(plan.name);
        if (std::ranges::find(plan.type->shared, parameter.name) != plan.type->shared.end()) {
          const auto* top = merged_.find(parameter.name);
          if (!top) added.insert(parameter.name);
          // Two stages may have different defaults; then the later one keeps its own to itself.
          if (top && (!added.contains(parameter.name) || to_yaml(*top) == to_yaml(value))) continue;
          if (!top) target = &merged_;
        }
        target->set(parameter.name, std::move(value));
      }
      for (const auto& use : plan.type->blocks) {
        if (!merged_.find(use.block)) {
          if (use.optional) continue;
          Value map;
          map.kind = Value::Kind::map;
          merged_.set(use.block, std::move(map));
        }
        auto& block = *merged_.find(use.block);
        for (const auto& parameter : blocks().at(use.block).parameters)
          if (!block.find(parameter.name))
            block.set(parameter.name, parameter.encode(use.member(plan.params.get())));
      }
    }
  }

  // In file order, and each once: a block's problem is found by every stage that reads it.
  static std::vector<Problem> tidy(std::vector<Problem> problems) {
    const auto key = [](const Problem& p) {
      return std::tie(p.place.file, p.place.line, p.place.column, p.text);
    };
    std::ranges::sort(problems, {}, key);
    const auto same = [&](const Problem& a, const Problem& b) { return key(a) == key(b); };
    problems.erase(std::unique(problems.begin(), problems.end(), same), problems.end());
    return problems;
  }

  Value merged_;
  Pipeline pipeline_;
  std::set<std::string> read_;  // top-level keys that some stage takes
  std::vector<Problem> problems_;
};

}  // namespace

bool Pipeline::writes() const {
  return std::ranges::any_of(stages, [](const auto& stage) { return stage.type->writes; });
}

bool Pipeline::resumes() const {
  return std::ranges::any_of(stages, [](const auto& stage) { return stage.type->resumes; });
}

Pipeline load(const Request& request) {
  std::vector<std::string> notes;
  auto pipeline = Loader(merge_layers(request, notes)).run();
  pipeline.file = request.file.generic_string();
  pipeline.notes = std::move(notes);
  return pipeline;
}

}  // namespace graph
