// number_stages: the stages themselves.
#include "tests/graph/number_stages.h"

#include <chrono>
#include <thread>

#include "graph/stage.h"

namespace tests {

void Collected::clear() {
  const std::lock_guard lock(mutex_);
  all_.clear();
}
void Collected::add(const std::string& stage, std::uint64_t number, std::int64_t value) {
  const std::lock_guard lock(mutex_);
  all_[stage].emplace_back(number, value);
}
std::vector<std::int64_t> Collected::values(const std::string& stage) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::int64_t> values;
  if (const auto found = all_.find(stage); found != all_.end())
    for (const auto& each : found->second) values.push_back(each.second);
  return values;
}
std::vector<std::uint64_t> Collected::numbers(const std::string& stage) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> numbers;
  if (const auto found = all_.find(stage); found != all_.end())
    for (const auto& each : found->second) numbers.push_back(each.first);
  return numbers;
}
Collected& collected() {
  static Collected all;
  return all;
}

namespace {

using graph::Context;
using graph::Stage;

void rest(double milliseconds) {
  if (milliseconds > 0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(milliseconds));
}

struct Numbers {
  struct Params {
    std::int64_t first = 0;
    std::uint64_t count = 0, seed = 0;
    double rest_ms = 0;
  };
  std::optional<Number> operator()(const Context& context) const {
    rest(params.rest_ms);
    if (params.count > 0 && context.number >= params.count) return std::nullopt;
    return Number{params.first + static_cast<std::int64_t>(context.number)};
  }
  Params params;
};
const bool numbers = Stage<Numbers>("numbers")
                         .summary("count up")
                         .out("number", "the message's own number, plus first")
                         .param("first", &Numbers::Params::first, "what to begin with")
                         .param("count", &Numbers::Params::count, "how many; 0: without end")
                         .shared("seed", &Numbers::Params::seed, "of nothing")
                         .param("rest_ms", &Numbers::Params::rest_ms, "pause before each")
                         .add();

struct Words {
  Word operator()() const { return {"word"}; }
};
const bool words = Stage<Words>("words").summary("say 'word'").out("word", "").add();

struct Scale {
  struct Params {
    int by = 2;
    double std = 1;
    std::string mode = "exact";
    bool loud = false;
    std::vector<int> list{};
    std::uint64_t size = 1, seed = 7;
    double rest_ms = 0;
  };
  Number operator()(const Number& x) const {
    rest(params.rest_ms);
    return {x.value * params.by};
  }
  Params params;
};
using P = Scale::Params;
const bool scale = Stage<Scale>("scale")
                       .summary("multiply every number")
                       .in("x", "any number")
                       .out("scaled", "x · by")
                       .param("by", &P::by, "the factor", graph::between(-1000, 1000))
                       .live()
                       .param("std", &P::std, "unused", graph::above(0))
                       .param("mode", &P::mode, "unused", graph::one_of({"exact", "rounded"}))
                       .param("loud", &P::loud, "unused")
                       .param("list", &P::list, "unused", graph::at_least(0))
                       .param("size", &P::size, "unused")
                       .shared("seed", &P::seed, "unused, with a default of its own")
                       .param("rest_ms", &P::rest_ms, "pause in each", graph::at_least(0))
                       .add();

struct Shift {
  struct Params {
    int by = 1;
    int window = 3;
  };
  Number operator()(const Number& x) const { return {x.value + params.by}; }
  Params params;
};
const bool shift = Stage<Shift>("shift")
                       .summary("add to every number")
                       .in("x", "any number")
                       .out("shifted", "x + by")
                       .param("by", &Shift::Params::by, "what to add")
                       .param("window", &Shift::Params::window, "unused")
                       .add();

struct KeepEvery {
  struct Params {
    int nth = 2;
  };
  std::optional<Number> operator()(const Number& x) const {
    return x.value % params.nth == 0 ? std::optional(x) : std::nullopt;
  }
  Params params;
};
const bool keep_every = Stage<KeepEvery>("keep_every")
                            .summary("filter")
                            .in("x", "any number")
                            .out("kept", "x, if nth divides it")
                            .param("nth", &KeepEvery::Params::nth, "", graph::at_least(1))
                            .add();

struct Add {
  Number operator()(const Number& a, const Number& b) const { return {a.value + b.value}; }
};
const bool add = Stage<Add>("add").summary("join").in("a", "").in("b", "").out("sum", "a + b").add();

struct Split {
  std::tuple<Number, Word> operator()(const Number& x) const { return {x, {std::to_string(x.value)}}; }
};
const bool split = Stage<Split>("split")
                       .summary("two outputs")
                       .in("x", "")
                       .out("number", "x")
                       .out("word", "x in letters")
                       .add();

struct Spell {
  Word operator()(const Word& word) const { return word; }
};
const bool spell = Stage<Spell>("spell").summary("takes words").in("word", "").out("word", "").add();

struct Collect {
  struct Params {
    double rest_ms = 0;
  };
  void operator()(const Number& x, const Context& context) const {
    rest(params.rest_ms);
    collected().add(context.stage, context.number, x.value);
  }
  Params params;
};
const bool collect = Stage<Collect>("collect")
                         .summary("write down what comes")
                         .in("x", "any number")
                         .param("rest_ms", &Collect::Params::rest_ms, "pause before each")
                         .add();

struct Pass {
  graph::Any operator()(const graph::Any& any) const { return any; }
};
const bool pass = Stage<Pass>("pass").summary("anything").in("any", "").out("same", "").add();

struct Swallow {
  void operator()(const graph::Any&) const {}
};
const bool swallow = Stage<Swallow>("swallow").summary("anything, gone").in("any", "").add();

// Its own result comes back as `total`, so that it adds up all that came.
struct AddUp {
  std::tuple<Number, Number> operator()(const Number& x, const Number& total) const {
    const Number sum{x.value + total.value};
    return {sum, sum};
  }
  Number start() const { return {100}; }
};
const bool add_up = Stage<AddUp>("add_up")
                        .summary("a stage with a loop around it")
                        .in("x", "")
                        .in("total", "of all before")
                        .out("total", "for the loop")
                        .out("sum", "for others")
                        .add();

struct Sample {
  Number operator()(const Number& x, const std::optional<Number>& newest) const {
    return {x.value * 1000 + (newest ? newest->value : -1)};
  }
};
const bool sample =
    Stage<Sample>("sample").summary("a sampled input").in("x", "").in("newest", "").out("both", "").add();

struct Herald {
  Word start() const { return {"hear"}; }
  Number operator()(const Context& context) const { return {static_cast<std::int64_t>(context.number)}; }
};
const bool herald = Stage<Herald>("herald").summary("an opening").out("number", "").out("opening", "").add();

struct Heard {
  Number operator()(const Number& x, const std::optional<Word>& opening) const {
    return {opening ? x.value : -1};
  }
};
const bool heard =
    Stage<Heard>("heard").summary("waits for no opening").in("x", "").in("opening", "").out("x", "").add();

struct Gather {
  Number operator()(const Number&, const std::vector<Number>& all) const {
    std::int64_t sum = 0;
    for (const auto& each : all) sum += each.value;
    return {sum};
  }
};
const bool gather =
    Stage<Gather>("gather").summary("a gathered input").in("x", "").in("all", "").out("sum", "of all").add();

struct Show {
  void operator()(const Number&) const {}
  std::optional<Number> idle() { return Number{++idles}; }
  std::int64_t idles = 0;
};
const bool show = Stage<Show>("show")
                      .summary("a window's double: sends when it likes")
                      .in("x", "")
                      .out("key", "how often it was idle")
                      .on(graph::Executor::main)
                      .add();

struct Settings {
  int width = 8;
  double rate = 0.5;
};
const bool settings = graph::add_block<Settings>("settings", "shared by tests",
                                                 graph::Schema<Settings>()
                                                     .param("width", &Settings::width, "", graph::at_least(1))
                                                     .param("rate", &Settings::rate, ""));

struct Wide {
  struct Params {
    Settings settings;
  };
  Number operator()(const Number& x) const { return {x.value * params.settings.width}; }
  Params params;
};
const bool wide = Stage<Wide>("wide")
                      .summary("reads a block")
                      .in("x", "")
                      .out("scaled", "x · settings.width")
                      .block("settings", &Wide::Params::settings)
                      .add();

}  // namespace
}  // namespace tests
