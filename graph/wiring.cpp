// wiring: parsing of `from:`, and the checks that make a pipeline safe to start.
#include "graph/wiring.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

namespace graph {
namespace {

constexpr std::size_t gathered_capacity = 1024;
constexpr std::int64_t largest_capacity = 1 << 20;
constexpr int most_in_flight = 1 << 16;

std::vector<std::string> names_of(const auto& ports) {
  std::vector<std::string> names;
  for (const auto& port : ports) names.push_back(port.name);
  return names;
}

std::size_t index_of(const auto& ports, const std::string& name) {
  for (std::size_t i = 0; i < ports.size(); ++i)
    if (ports[i].name == name) return i;
  return ports.size();
}

class Wiring {
 public:
  Wiring(Pipeline& pipeline, const Value& all, std::vector<Problem>& problems)
      : pipeline_(pipeline), all_(all), problems_(problems) {}

  void run() {
    bool whole = pipeline_.stages.size() == all_.entries.size();
    const auto before = problems_.size();
    for (std::size_t i = 0; i < pipeline_.stages.size(); ++i) read_stage(i);
    whole &= problems_.size() == before;
    check_types();
    check_readers();
    const bool round = !sort();
    // What follows draws conclusions from all edges, and would be wrong while one is missing.
    if (!whole || round) return;
    check_sources();
    check_feedback();
    check_joins();
    set_slots();
  }

 private:
  StagePlan& stage(std::size_t i) { return pipeline_.stages[i]; }
  void problem(const Place& place, const std::string& text) { problems_.push_back({place, text}); }
  std::string who(std::size_t i) { return "stage '" + stage(i).name + "': "; }
  const InputPort& input(const EdgePlan& edge) { return stage(edge.to).type->inputs[edge.input]; }
  const OutputPort& output(const EdgePlan& edge) { return stage(edge.from).type->outputs[edge.output]; }

  // --- from: ---------------------------------------------------------------------------------------------

  void read_stage(std::size_t to) {
    const auto& type = *stage(to).type;
    const auto* from = all_.find(stage(to).name)->find("from");
    if (type.is_source()) {
      if (from)
        problem(from->place, who(to) + "'" + type.name + "' is a source and has no inputs; take 'from' out");
      return;
    }
    std::vector<bool> fed(type.inputs.size());
    if (from) read_from(to, *from, fed);
    for (std::size_t i = 0; i < fed.size(); ++i)
      if (!fed[i] && type.inputs[i].intake == Intake::joined)
        problem(from ? from->place : stage(to).place,
                who(to) + "input '" + type.inputs[i].name + "' is loose; name its source in 'from'");
  }

  void read_from(std::size_t to, const Value& from, std::vector<bool>& fed) {
    const auto& inputs = stage(to).type->inputs;
    const auto mark = [&](std::size_t i) { fed[i] = true; };
    if (!from.is_map() || from.find("stage")) {
      const auto triggers = std::ranges::count(inputs, Intake::joined, &InputPort::intake);
      if (triggers > 1) {
        fed.assign(fed.size(), true);
        return problem(from.place, who(to) + "has several inputs (" + join(names_of(inputs)) +
                                       "); write from: {" + inputs[0].name + ": …, …}");
      }
      const auto trigger = static_cast<std::size_t>(
          std::ranges::find(inputs, Intake::joined, &InputPort::intake) - inputs.begin());
      mark(trigger);
      return read_edge(to, trigger, from);
    }
    for (const auto& entry : from.entries) {
      const auto i = index_of(inputs, entry.key);
      if (i == inputs.size()) {
        problem(entry.place, who(to) + "no input '" + entry.key + "' (it has " + join(names_of(inputs)) +
                                 ")" + did_you_mean(entry.key, names_of(inputs)));
        continue;
      }
      mark(i);
      if (!entry.value.is_list()) {
        read_edge(to, i, entry.value);
      } else if (inputs[i].intake != Intake::gathered) {
        problem(entry.value.place, who(to) + "input '" + entry.key + "' takes one source, not a list");
      } else {
        for (const auto& item : entry.value.items) read_edge(to, i, item);
      }
    }
  }

  void read_edge(std::size_t to, std::size_t port, const Value& value) {
    EdgePlan edge;
    edge.to = to;
    edge.input = port;
    edge.place = value.place;
    const Value* source = &value;
    const auto intake = stage(to).type->inputs[port].intake;
    if (intake == Intake::sampled) edge.when_full = WhenFull::latest;
    if (intake == Intake::gathered) {
      edge.when_full = WhenFull::drop_oldest;
      edge.capacity = gathered_capacity;
    }
    if (value.is_map()) {
      source = value.find("stage");
      if (!source)
        return problem(value.place, who(to) + "an edge is a stage's name or {stage: NAME, when_full: …}");
      if (!read_options(edge, intake, value)) return;
    }
    if (!source->is_scalar())
      return problem(source->place, who(to) + "expected the name of a stage, got " + source->describe());
    if (find_source(edge, *source)) pipeline_.edges.push_back(edge);
  }

  bool read_options(EdgePlan& edge, Intake intake, const Value& value) {
    const auto before = problems_.size();
    const auto* capacity = value.find("capacity");
    for (const auto& entry : value.entries) {
      try {
        if (entry.key == "when_full") {
          edge.when_full = read_policy(entry.value);
        } else if (entry.key == "capacity") {
          edge.capacity = static_cast<std::size_t>(read_number(entry.value, largest_capacity));
        } else if (entry.key == "feedback") {
          edge.feedback = static_cast<int>(read_number(entry.value, most_in_flight));
        } else if (entry.key != "stage") {
          problem(entry.place, who(edge.to) + "unknown key '" + entry.key + "' of an edge" +
                                   did_you_mean(entry.key, {"stage", "when_full", "capacity", "feedback"}));
        }
      } catch (const Error& error) {
        for (const auto& each : error.problems())
          problem(each.place, who(edge.to) + "'" + entry.key + "': " + each.text);
      }
    }
    const auto* policy = value.find("when_full");
    const bool queues = edge.when_full == WhenFull::drop_oldest || edge.when_full == WhenFull::drop_newest;
    if (policy && intake == Intake::sampled && edge.when_full != WhenFull::latest)
      problem(policy->place, who(edge.to) + "a sampled input always keeps the latest; take 'when_full' out");
    if (policy && intake == Intake::joined && queues && !capacity)
      problem(policy->place, who(edge.to) + "'" + to_text(edge.when_full) + "' needs a 'capacity'");
    if (capacity && !queues)
      problem(capacity->place, who(edge.to) + "only drop_oldest and drop_newest have a 'capacity'");
    if (edge.feedback && (policy || intake != Intake::joined))
      problem(value.find("feedback")->place,
              who(edge.to) + "feedback is for an input that triggers, and goes without 'when_full'");
    return problems_.size() == before;
  }

  WhenFull read_policy(const Value& value) {
    const auto word = Codec<std::string>::decode(value);
    const std::vector<WhenFull> all{WhenFull::wait, WhenFull::latest, WhenFull::drop_oldest,
                                    WhenFull::drop_newest};
    std::vector<std::string> words;
    for (const auto policy : all) {
      if (word == to_text(policy)) return policy;
      words.emplace_back(to_text(policy));
    }
    check_range(one_of(words), word, value.place);
    return WhenFull::wait;
  }

  std::int64_t read_number(const Value& value, std::int64_t most) {
    const auto number = Codec<std::int64_t>::decode(value);
    check_range(between(1, static_cast<double>(most)), static_cast<double>(number), value.place);
    return number;
  }

  bool find_source(EdgePlan& edge, const Value& source) {
    const auto dot = source.scalar.find('.');
    const auto name = source.scalar.substr(0, dot);
    const auto from = index_of(pipeline_.stages, name);
    if (from == pipeline_.stages.size()) {
      // A stage of unknown type has its own problem already.
      if (!all_.find(name)) {
        lost_ = true;
        std::vector<std::string> names;
        for (const auto& entry : all_.entries) names.push_back(entry.key);
        problem(source.place, who(edge.to) + "no stage '" + name + "'" + did_you_mean(name, names));
      }
      return false;
    }
    const auto& outputs = stage(from).type->outputs;
    edge.from = from;
    if (outputs.empty()) {
      problem(source.place, who(edge.to) + "'" + name + "' (" + stage(from).type->name + ") has no output");
      return false;
    }
    if (dot == std::string::npos) {
      edge.output = stage(from).type->plain_output();
      if (edge.output < outputs.size()) return true;
      problem(source.place, who(edge.to) + "'" + name + "' has several outputs; write " + name + "." +
                                join(names_of(outputs), (" or " + name + ".").c_str()));
      return false;
    }
    const auto port = source.scalar.substr(dot + 1);
    edge.output = index_of(outputs, port);
    if (edge.output == outputs.size()) {
      problem(source.place, who(edge.to) + "'" + name + "' has no output '" + port + "' (it has " +
                                join(names_of(outputs)) + ")" + did_you_mean(port, names_of(outputs)));
      return false;
    }
    return true;
  }

  // --- checks --------------------------------------------------------------------------------------------

  // The type that leaves a port: an Any output has the type that comes in. Null when it cannot be known.
  const Type* type_of_output(std::size_t from, std::size_t port, int depth = 0) {
    const auto& type = *stage(from).type;
    if (type.outputs[port].type) return type.outputs[port].type;
    for (const auto& edge : pipeline_.edges)
      if (edge.to == from && !input(edge).type && depth < 64)
        return type_of_output(edge.from, edge.output, depth + 1);
    return nullptr;
  }

  void check_types() {
    for (const auto& edge : pipeline_.edges) {
      const auto* want = input(edge).type;
      const auto* have = type_of_output(edge.from, edge.output);
      if (want && have && !(*want == *have))
        problem(edge.place, who(edge.to) + "input '" + input(edge).name + "' takes " + want->name +
                                ", but '" + stage(edge.from).name + "." + output(edge).name + "' is " +
                                have->name);
      if (edge.feedback && !output(edge).from_start)
        problem(edge.place, who(edge.to) + "'" + stage(edge.from).name + "." + output(edge).name +
                                "' cannot feed back: '" + stage(edge.from).type->name +
                                "' sends no first message from start()");
      if (output(edge).opening && !edge.feedback && input(edge).intake == Intake::joined)
        problem(edge.place, who(edge.to) + "'" + stage(edge.from).name + "." + output(edge).name +
                                "' comes once, before the first message, so it cannot feed input '" +
                                input(edge).name + "', which takes part in every firing");
      // Else what it waits for could be what it holds back.
      const bool alone = stage(edge.from).type->is_source() &&
                         std::ranges::count(pipeline_.edges, edge.from, &EdgePlan::from) == 1;
      if (input(edge).intake == Intake::gathered && edge.when_full == WhenFull::wait && !alone)
        problem(edge.place, who(edge.to) +
                                "a gathered input can hold back only a source that leads nowhere "
                                "else; use drop_oldest");
      if (output(edge).from_idle && edge.when_full == WhenFull::wait)
        problem(edge.place,
                who(edge.to) + "'" + stage(edge.from).name + "." + output(edge).name +
                    "' comes when it likes, so nothing can hold it back; give the edge a when_full: "
                    "that drops");
    }
  }

  bool is_flow(const EdgePlan& edge) {
    return edge.when_full == WhenFull::wait && edge.feedback == 0 && !output(edge).opening;
  }
  bool is_gated(std::size_t i) {
    return std::ranges::any_of(pipeline_.edges, [&](const auto& edge) {
      return edge.to == i && input(edge).intake == Intake::joined && edge.when_full != WhenFull::wait;
    });
  }

  // Depth first, so that neighbours in the picture stay neighbours; refuses what goes round. False if so.
  bool sort() {
    const auto before = problems_.size();
    const auto n = pipeline_.stages.size();
    std::vector<int> state(n);  // 0 new, 1 open, 2 done
    std::vector<std::size_t> path, order;
    const std::function<void(std::size_t)> visit = [&](std::size_t i) {
      state[i] = 1;
      path.push_back(i);
      for (const auto& edge : pipeline_.edges) {
        if (edge.from != i || !is_flow(edge) || state[edge.to] == 2) continue;
        if (state[edge.to] == 0) {
          visit(edge.to);
          continue;
        }
        std::string round;
        for (auto at = std::ranges::find(path, edge.to); at != path.end(); ++at)
          round += stage(*at).name + " → ";
        problem(edge.place, who(edge.to) + "undeclared cycle " + round + stage(edge.to).name +
                                "; mark this edge feedback: 1, or let it drop (when_full: latest)");
      }
      path.pop_back();
      state[i] = 2;
      order.push_back(i);
    };
    for (std::size_t i = n; i-- > 0;)
      if (state[i] == 0) visit(i);
    std::ranges::reverse(order);

    std::vector<std::size_t> place(n);
    std::vector<StagePlan> sorted;
    for (std::size_t i = 0; i < n; ++i) {
      place[order[i]] = i;
      sorted.push_back(std::move(pipeline_.stages[order[i]]));
    }
    pipeline_.stages = std::move(sorted);
    for (auto& edge : pipeline_.edges) {
      edge.from = place[edge.from];
      edge.to = place[edge.to];
    }
    return problems_.size() == before;
  }

  // A stage starts and ends with its inputs, so going back from each there must be a source. Loops of dropping
  // or feedback edges alone have none, and nothing could stop them.
  void check_sources() {
    const auto n = pipeline_.stages.size();
    std::vector<bool> led(n);
    for (std::size_t i = 0; i < n; ++i) led[i] = stage(i).type->is_source();
    for (bool more = true; more;) {
      more = false;
      for (const auto& edge : pipeline_.edges) {
        if (led[edge.to] || !led[edge.from] || edge.feedback || input(edge).intake != Intake::joined)
          continue;
        led[edge.to] = more = true;
      }
    }
    for (std::size_t i = 0; i < n; ++i)
      if (!led[i])
        problem(stage(i).place,
                who(i) +
                    "no source leads to it but round a loop, so it would never start or never "
                    "end; begin the loop with a source");
  }

  // Every firing must bring one token back: the edge has to come from a stage that each message of the receiver
  // reaches. Otherwise tokens are lost, and the receiver starves, or gather without a bound.
  void check_feedback() {
    for (const auto& back : pipeline_.edges) {
      if (!back.feedback) continue;
      std::vector<bool> reached(pipeline_.stages.size());
      reached[back.to] = true;
      // Upstream first, so one pass is enough.
      for (std::size_t i = 0; i < pipeline_.stages.size(); ++i)
        for (const auto& edge : pipeline_.edges)
          if (edge.to == i && is_flow(edge) && reached[edge.from]) reached[i] = true;
      if (!reached[back.from])
        problem(back.place, who(back.to) + "feedback from '" + stage(back.from).name +
                                "', which its messages do not " +
                                "reach over edges that wait; tokens would be lost");
    }
  }

  // Joins pair by number. Sources send every number, filters leave tombstones, but behind a dropping edge
  // numbers are missing: two inputs pair only if they miss the same ones.
  void check_joins() {
    std::vector<std::size_t> origin(pipeline_.stages.size());  // the dropping stage, or `complete`
    const auto complete = pipeline_.stages.size();
    for (std::size_t i = 0; i < pipeline_.stages.size(); ++i) {
      origin[i] = is_gated(i) ? i : complete;
      const EdgePlan* first = nullptr;
      for (const auto& edge : pipeline_.edges) {
        if (edge.to != i || input(edge).intake != Intake::joined || edge.feedback) continue;
        if (!first) {
          first = &edge;
          if (!is_gated(i)) origin[i] = origin[edge.from];
          continue;
        }
        if (!is_flow(edge) || !is_flow(*first)) {
          problem((is_flow(edge) ? *first : edge).place,
                  who(i) + "joined inputs must wait for each other; take 'when_full' out");
        } else if (origin[edge.from] != origin[first->from]) {
          problem(edge.place,
                  who(i) + "inputs '" + input(*first).name + "' and '" + input(edge).name +
                      "' would wait for messages that an edge before one of them has dropped; join "
                      "before that edge");
        }
      }
    }
  }

  static void add_names(const Value& from, std::set<std::string>& names) {
    if (from.is_scalar()) names.insert(from.scalar.substr(0, from.scalar.find('.')));
    for (const auto& item : from.items) add_names(item, names);
    for (const auto& entry : from.entries) add_names(entry.value, names);
  }

  void check_readers() {
    // Whose reader is misspelt has a problem already.
    if (lost_) return;
    std::set<std::string> named;
    for (const auto& entry : all_.entries)
      if (const auto* from = entry.value.find("from")) add_names(*from, named);
    for (std::size_t i = 0; i < pipeline_.stages.size(); ++i) {
      const auto& outputs = stage(i).type->outputs;
      const bool must =
          std::ranges::any_of(outputs, [](const auto& port) { return !port.from_idle && !port.opening; });
      if (must && !named.contains(stage(i).name))
        problem(stage(i).place, who(i) + "nobody reads its output '" + outputs[0].name + "'; name '" +
                                    stage(i).name + "' in some stage's 'from', or take it out");
    }
  }

  void set_slots() {
    for (std::size_t i = 0; i < pipeline_.stages.size(); ++i) {
      auto& plan = stage(i);
      const auto* given = all_.find(plan.name)->find("in_flight");
      if (plan.type->is_source()) {
        plan.in_flight = plan.type->in_flight;
      } else if (is_gated(i)) {
        // Behind `latest` freshness counts, so the default lets one message through at a time.
        const bool latest = std::ranges::any_of(pipeline_.edges, [&](const auto& edge) {
          return edge.to == i && input(edge).intake == Intake::joined && edge.when_full == WhenFull::latest;
        });
        plan.in_flight = latest ? 1 : plan.type->in_flight;
      } else if (given) {
        problem(given->place, who(i) +
                                  "'in_flight' is for sources and for stages behind a dropping edge; set it "
                                  "on the source");
        continue;
      }
      if (!given) continue;
      try {
        plan.in_flight = static_cast<int>(read_number(*given, most_in_flight));
      } catch (const Error& error) {
        for (const auto& each : error.problems()) problem(each.place, who(i) + "'in_flight': " + each.text);
      }
    }
  }

  Pipeline& pipeline_;
  const Value& all_;
  std::vector<Problem>& problems_;
  bool lost_ = false;  // a `from` names what does not exist
};

}  // namespace

void wire(Pipeline& pipeline, const Value& stages, std::vector<Problem>& problems) {
  Wiring(pipeline, stages, problems).run();
}

const char* to_text(WhenFull when_full) {
  switch (when_full) {
    case WhenFull::wait:
      return "wait";
    case WhenFull::latest:
      return "latest";
    case WhenFull::drop_oldest:
      return "drop_oldest";
    case WhenFull::drop_newest:
      return "drop_newest";
  }
  return "";
}

}  // namespace graph
