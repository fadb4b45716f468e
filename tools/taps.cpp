// taps: lists become stages.
#include "tools/taps.h"

#include <algorithm>
#include <string>
#include <vector>

#include "graph/error.h"
#include "graph/stage_type.h"
#include "stages/wire/pack.h"

namespace tools {
namespace {

using graph::Value;

class Expansion {
 public:
  explicit Expansion(Value& merged) : merged_(merged) {}

  void run() {
    for (const auto& tap : take("taps")) add_tap(tap);
    for (const auto& input : take("inject")) add_input(input);
    if (!problems_.empty()) throw graph::Error(std::move(problems_));
  }

 private:
  void problem(const graph::Place& place, const std::string& text) { problems_.push_back({place, text}); }

  std::vector<Value> take(const std::string& list) {
    const auto* found = merged_.find(list);
    if (!found) return {};
    const auto value = *found;
    merged_.erase(list);
    if (value.is_list()) return value.items;
    problem(value.place, "'" + list + "' must be a list, got " + value.describe());
    return {};
  }

  // Whether it is a map of texts with `needed` and, of others, `allowed` alone.
  bool check(const Value& item, const std::vector<std::string>& needed,
             const std::vector<std::string>& allowed, const char* example) {
    const auto before = problems_.size();
    if (!item.is_map()) {
      problem(item.place, std::string("expected ") + example + ", got " + item.describe());
      return false;
    }
    for (const auto& key : needed)
      if (!item.find(key)) problem(item.place, "'" + key + "' is missing; expected " + example);
    for (const auto& entry : item.entries) {
      const bool known = std::ranges::find(needed, entry.key) != needed.end() ||
                         std::ranges::find(allowed, entry.key) != allowed.end();
      if (!known) problem(entry.place, "unknown key '" + entry.key + "'; expected " + example);
      if (known && !entry.value.is_scalar())
        problem(entry.value.place, "'" + entry.key + "': expected a text, got " + entry.value.describe());
    }
    return problems_.size() == before;
  }

  static std::string name_of(const std::string& prefix, const Value& item) {
    auto name = prefix + item.find("topic")->scalar;
    std::ranges::replace(name, '-', '_');
    return name;
  }

  // A stage of its own, called by its topic.
  void add_stage(const std::string& prefix, const Value& item, const Value& stage) {
    const auto name = name_of(prefix, item);
    auto* stages = merged_.find("stages");
    if (!stages || !stages->is_map()) return;
    if (stages->find(name))
      return problem(item.place, "another tap or stage is called '" + name + "'; choose another topic");
    stages->entries.push_back({name, item.place, stage});
  }

  static Value scalar(const std::string& word, const graph::Place& place) {
    Value value;
    value.kind = Value::Kind::scalar;
    value.scalar = word;
    value.place = place;
    return value;
  }
  static Value map(const graph::Place& place) {
    Value value;
    value.kind = Value::Kind::map;
    value.place = place;
    return value;
  }

  void add_tap(const Value& tap) {
    if (!check(tap, {"edge", "topic"}, {"publish", "encoding"}, "{edge: STAGE, topic: NAME}")) return;
    if (!check_type(tap)) return;
    auto edge = map(tap.place);
    edge.set("stage", *tap.find("edge"));
    // A tap may lose what nobody can take in time; it never holds anything up.
    edge.set("when_full", scalar("drop_oldest", tap.place));
    edge.set("capacity", scalar("256", tap.place));
    auto stage = map(tap.place);
    stage.set("type", scalar("publish", tap.place));
    stage.set("from", edge);
    stage.set("topic", *tap.find("topic"));
    if (const auto* endpoint = tap.find("publish")) stage.set("endpoint", *endpoint);
    if (const auto* encoding = tap.find("encoding")) stage.set("encoding", *encoding);
    add_stage("tap_", tap, stage);
  }

  // Whether what flows there can be sent. What is no edge at all is for the loader to say.
  bool check_type(const Value& tap) {
    const auto& edge = *tap.find("edge");
    const auto dot = edge.scalar.find('.');
    const auto* type = type_of(edge.scalar.substr(0, dot));
    if (!type || type->outputs.empty()) return true;
    const auto port = dot == std::string::npos ? type->outputs.begin()
                                               : std::ranges::find(type->outputs, edge.scalar.substr(dot + 1),
                                                                   &graph::OutputPort::name);
    if (port == type->outputs.end() || !port->type) return true;
    const auto before = problems_.size();
    if (!stages::travels(port->type->name))
      problem(edge.place, "'" + edge.scalar + "' is " + port->type->name + ", which cannot be sent");
    const auto* encoding = tap.find("encoding");
    if (encoding && encoding->scalar != "raw" && port->type->name != "Frame")
      problem(encoding->place, "encoding " + encoding->scalar + " is for frames; '" + edge.scalar + "' is " +
                                   port->type->name);
    return problems_.size() == before;
  }

  const graph::StageType* type_of(const std::string& name) {
    const auto* all = merged_.find("stages");
    const auto* stage = all && all->is_map() ? all->find(name) : nullptr;
    const auto* type = stage && stage->is_map() ? stage->find("type") : nullptr;
    const auto known = type ? graph::stage_types().find(type->scalar) : graph::stage_types().end();
    return known == graph::stage_types().end() ? nullptr : &known->second;
  }

  void add_input(const Value& input) {
    constexpr auto example = "{input: STAGE.INPUT, topic: NAME, endpoint: ipc://NAME}";
    if (!check(input, {"input", "topic", "endpoint"}, {}, example)) return;
    const auto& where = input.find("input")->scalar;
    const auto dot = where.find('.');
    const auto* type = type_of(where.substr(0, dot));
    if (!type)
      return problem(input.find("input")->place,
                     "no stage for the input '" + where + "'; expected STAGE.INPUT");
    auto& target = *merged_.find("stages")->find(where.substr(0, dot));
    const auto& ports = type->inputs;
    const auto name = dot == std::string::npos ? "" : where.substr(dot + 1);
    const auto port = std::ranges::find(ports, name, &graph::InputPort::name);
    if (port == ports.end())
      return problem(input.find("input")->place,
                     "stage '" + where.substr(0, dot) + "' has no input '" + name + "'");
    if (!port->type)
      return problem(input.find("input")->place,
                     "the input '" + where + "' takes anything; inject where a type is known");
    auto stage = map(input.place);
    stage.set("type", scalar("inject", input.place));
    stage.set("topic", *input.find("topic"));
    stage.set("endpoint", *input.find("endpoint"));
    stage.set("noun", scalar(port->type->name, input.place));
    // Before the new stage, which moves the others in memory.
    lead(target, *type, *port, scalar(name_of("inject_", input), input.place));
    add_stage("inject_", input, stage);
  }

  // An input that gathers takes it beside its other sources, and all of it; any other input takes it instead.
  static void lead(Value& target, const graph::StageType& type, const graph::InputPort& port,
                   const Value& source) {
    const auto* from = target.find("from");
    const bool by_port = from && from->is_map() && !from->find("stage");
    if (!by_port) {
      auto ports = map(source.place);
      const auto trigger = std::ranges::find(type.inputs, graph::Intake::joined, &graph::InputPort::intake);
      if (from && trigger != type.inputs.end()) ports.set(trigger->name, *from);
      target.set("from", ports);
    }
    auto& ports = *target.find("from");
    if (port.intake != graph::Intake::gathered) return ports.set(port.name, source);
    auto edge = map(source.place);
    edge.set("stage", source);
    edge.set("when_full", scalar("wait", source.place));
    Value all;
    all.kind = Value::Kind::list;
    all.place = source.place;
    if (const auto* before = ports.find(port.name))
      all.items = before->is_list() ? before->items : std::vector{*before};
    all.items.push_back(edge);
    ports.set(port.name, all);
  }

  Value& merged_;
  std::vector<graph::Problem> problems_;
};

}  // namespace

void expand_taps(Value& merged) { Expansion(merged).run(); }

}  // namespace tools
