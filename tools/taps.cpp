// taps: lists become stages.
#include "tools/taps.h"

#include <algorithm>
#include <string>
#include <vector>

#include "graph/error.h"
#include "graph/stage_type.h"

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

  // A stage of its own, called by its topic.
  void add_stage(const std::string& prefix, const Value& item, const Value& stage) {
    auto name = prefix + item.find("topic")->scalar;
    std::ranges::replace(name, '-', '_');
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

  void add_input(const Value& input) {
    constexpr auto example = "{input: STAGE.INPUT, topic: NAME, endpoint: ipc://NAME}";
    if (!check(input, {"input", "topic", "endpoint"}, {}, example)) return;
    const auto& where = input.find("input")->scalar;
    const auto dot = where.find('.');
    auto* stages = merged_.find("stages");
    auto* target = stages && stages->is_map() ? stages->find(where.substr(0, dot)) : nullptr;
    const auto* type = target && target->is_map() ? target->find("type") : nullptr;
    const auto known = type ? graph::stage_types().find(type->scalar) : graph::stage_types().end();
    if (known == graph::stage_types().end())
      return problem(input.find("input")->place,
                     "no stage for the input '" + where + "'; expected STAGE.INPUT");
    const auto& ports = known->second.inputs;
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
    add_stage("inject_", input, stage);
    auto source = "inject_" + input.find("topic")->scalar;
    std::ranges::replace(source, '-', '_');
    lead(*target, *port, scalar(source, input.place));
  }

  // An input that gathers takes it beside its other sources; any other input takes it instead.
  static void lead(Value& target, const graph::InputPort& port, const Value& source) {
    auto* from = target.find("from");
    if (!from || !from->is_map() || from->find("stage")) target.set("from", map(source.place));
    auto& ports = *target.find("from");
    const auto* before = ports.find(port.name);
    if (port.intake != graph::Intake::gathered || !before) return ports.set(port.name, source);
    Value all;
    all.kind = Value::Kind::list;
    all.place = source.place;
    all.items = before->is_list() ? before->items : std::vector{*before};
    all.items.push_back(source);
    ports.set(port.name, all);
  }

  Value& merged_;
  std::vector<graph::Problem> problems_;
};

}  // namespace

void expand_taps(Value& merged) { Expansion(merged).run(); }

}  // namespace tools
