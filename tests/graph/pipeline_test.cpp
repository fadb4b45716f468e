// pipeline_test: what is refused and in which words, how layers lie over each other, and the pictures.
#include "graph/pipeline.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "graph/picture.h"
#include "tests/folder.h"

namespace tests {
namespace {

namespace fs = std::filesystem;
using graph::Error;
using graph::load;
using graph::Pipeline;
using graph::Request;

const fs::path test_dir = TEST_DIR;

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return text;
}

// What load() has to say against `request`, a line a problem; "" when nothing.
std::string complaint(const Request& request) {
  try {
    load(request);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string complaint_of(const std::string& yaml) {
  const Folder folder;
  const auto file = folder.write("p.yaml", yaml);
  return replaced(complaint({.file = file}), file.string(), "p.yaml");
}

const void* params_of(const Pipeline& pipeline, const std::string& stage) {
  return std::ranges::find(pipeline.stages, stage, &graph::StagePlan::name)->params.get();
}

// "scale.by", as the plan has it.
std::string value(const Pipeline& pipeline, const std::string& stage, const std::string& parameter) {
  const auto& plan = *std::ranges::find(pipeline.stages, stage, &graph::StagePlan::name);
  const auto& known = plan.type->parameters;
  return std::ranges::find(known, parameter, &graph::Parameter::name)->text(params_of(pipeline, stage));
}

// Everything that a plan says.
std::string plan_text(const Pipeline& pipeline) {
  std::string text;
  for (const auto& stage : pipeline.stages) {
    text += stage.name + ": " + stage.type->name + " in_flight " + std::to_string(stage.in_flight);
    for (const auto& parameter : stage.type->parameters)
      text += ", " + parameter.name + " " + parameter.text(stage.params.get());
    text += '\n';
  }
  for (const auto& edge : pipeline.edges)
    text += std::to_string(edge.from) + "." + std::to_string(edge.output) + " -> " + std::to_string(edge.to) +
            "." + std::to_string(edge.input) + " " + graph::to_text(edge.when_full) + " " +
            std::to_string(edge.capacity) + " feedback " + std::to_string(edge.feedback) + '\n';
  if (pipeline.stop.steps) text += "steps " + std::to_string(*pipeline.stop.steps) + '\n';
  if (pipeline.stop.minutes) text += "minutes " + std::to_string(*pipeline.stop.minutes) + '\n';
  return text;
}

// --- broken/*.yaml ---------------------------------------------------------------------------------------------
// Each begins with the problems it must be refused with: "# expect: file:line:column: text".

class Broken : public testing::TestWithParam<std::string> {};

TEST_P(Broken, is_refused_in_these_words) {
  const auto folder = test_dir / "broken";
  std::ifstream stream(folder / GetParam());
  std::string expected;
  const std::string mark = "# expect: ";
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with(mark)) expected += (expected.empty() ? "" : "\n") + line.substr(mark.size());
  ASSERT_FALSE(expected.empty()) << "the file says no '# expect:'";

  auto text = complaint({.file = folder / GetParam()});
  text = replaced(text, folder.string() + "/", "");
  text = replaced(text, fs::weakly_canonical(test_dir / ".." / "..").string(), "PROJECT");
  EXPECT_EQ(text, expected);
}

std::vector<std::string> broken_files() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(test_dir / "broken"))
    names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Broken, testing::ValuesIn(broken_files()),
                         [](const auto& name) { return name.param.substr(0, name.param.find('.')); });

// --- files that hold no YAML -----------------------------------------------------------------------------------

TEST(File, missing_is_named) {
  EXPECT_EQ(complaint({.file = "/no/such.yaml"}), "/no/such.yaml: no such file");
}

TEST(File, empty_is_refused) {
  EXPECT_EQ(complaint_of(""), "p.yaml:1:1: empty file; expected a map");
  EXPECT_EQ(complaint_of("\n# nothing but a comment\n"), "p.yaml:1:1: empty file; expected a map");
}

TEST(File, binary_is_refused_at_its_first_foreign_byte) {
  EXPECT_EQ(complaint_of(std::string("stages:\n  a\0b", 13)),
            "p.yaml:2:4: not a text file: byte 11 is not UTF-8 text");
  EXPECT_EQ(complaint_of("\x7f"
                         "ELF\x02\x01"),
            "p.yaml:1:5: not a text file: byte 4 is not UTF-8 text");
  EXPECT_EQ(complaint_of("stages: \xff\xfe"), "p.yaml:1:9: not a text file: byte 8 is not UTF-8 text");
}

TEST(File, directory_is_refused) {
  const Folder folder;
  EXPECT_EQ(complaint({.file = folder.path()}), folder.string() + ": not a file");
  EXPECT_EQ(complaint({.file = "/dev/zero"}), "/dev/zero: not a file");
}

TEST(File, that_cannot_be_read_is_an_error_like_any_other) {
  // A regular file whose first byte cannot be read, not even by root.
  EXPECT_EQ(complaint({.file = "/proc/self/mem"}), "/proc/self/mem: cannot be read");
  if (::geteuid() == 0) return;
  const Folder folder;
  const auto file = folder.write("p.yaml", "stages: {}\n");
  fs::permissions(file, fs::perms::none);
  EXPECT_EQ(complaint({.file = file}), file.string() + ": cannot be opened for reading");
}

TEST(File, config_with_an_impossible_name_is_an_error_like_any_other) {
  EXPECT_EQ(complaint_of("configs: [" + std::string(300, 'x') + "]\nstages: {a: {type: words}}\n"),
            "p.yaml:1:11: config '" + std::string(300, 'x') + "': File name too long");
}

TEST(File, crlf_and_byte_order_mark_are_taken) {
  EXPECT_EQ(complaint_of("\xEF\xBB\xBFstages:\r\n  a: {type: numbers}\r\n  z: {type: collect, from: a}\r\n"),
            "");
}

// 900 KB pass the limit on size, so that something else must stop them; none may take more than a moment.
TEST(File, deep_or_endless_yaml_is_refused_at_once) {
  const std::size_t allowed = 130'000, large = 10'000'000;
  const auto repeat = [](const std::string& text, std::size_t bytes) {
    std::string all;
    while (all.size() < bytes) all += text;
    return all;
  };
  const auto steps = [](std::size_t bytes) {
    std::string all;
    for (std::size_t depth = 0; all.size() < bytes; ++depth) all += std::string(depth, ' ') + "a:\n";
    return all;
  };
  const auto keys = [](std::size_t bytes) {
    std::string all = "stages:\n  a: {type: numbers}\n  b:\n    type: collect\n    from: a\n";
    for (std::size_t i = 0; all.size() < bytes; ++i) all += "    k" + std::to_string(i) + ": 1\n";
    return all;
  };
  const auto stages = [](std::size_t bytes) {
    std::string all = "stages:\n  s0: {type: numbers}\n";
    for (std::size_t i = 1; all.size() < bytes; ++i)
      all += "  s" + std::to_string(i) + ": {type: scale, from: s" + std::to_string(i - 1) + "}\n";
    return all;
  };
  for (const auto bytes : {allowed, large}) {
    const std::string texts[] = {repeat("[", bytes),
                                 repeat("{", bytes),
                                 repeat("{a: ", bytes),
                                 repeat("- ", bytes),
                                 repeat("? ", bytes),
                                 repeat("a: [", bytes),
                                 repeat("&a ", bytes),
                                 repeat("*a ", bytes),
                                 repeat("!a ", bytes),
                                 repeat("'", bytes),
                                 repeat("\n--- a", bytes),
                                 steps(bytes),
                                 keys(bytes),
                                 stages(bytes),
                                 "stages: \"" + repeat("x", bytes)};
    for (const auto& text : texts) {
      // The processor's time, since the machine may be busy with other tests.
      const auto begin = std::clock();
      const auto words = complaint_of(text);
      const auto spent = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
      EXPECT_NE(words, "") << text.substr(0, 40);
      EXPECT_LT(spent, 5) << text.substr(0, 40) << " … " << bytes;
      if (bytes == large) {
        EXPECT_EQ(words, "p.yaml: too large; a pipeline or config has at most 131072 bytes");
      }
    }
  }
  EXPECT_EQ(complaint_of(repeat("[", 40) + repeat("]", 40)), "p.yaml:1:33: nested deeper than 32 levels");
}

// --- layers ----------------------------------------------------------------------------------------------------

const std::string plain =
    "stages:\n"
    "  a: {type: numbers}\n"
    "  b: {type: scale, from: a}\n"
    "  z: {type: collect, from: b}\n";

TEST(Layers, later_ones_win) {
  const Folder folder;
  folder.write("first.yaml", "stages: {b: {by: 3, std: 3, size: 3, rest_ms: 3}}\n");
  folder.write("second.yaml", "stages: {b: {std: 4, size: 4, rest_ms: 4}}\n");
  const auto over = folder.write("over.yaml", "stages: {b: {size: 5, rest_ms: 5}}\n");
  const auto file =
      folder.write("p.yaml",
                   "configs: [first.yaml, second.yaml]\n"
                   "stages:\n"
                   "  a: {type: numbers}\n"
                   "  b: {type: scale, from: a, loud: true, by: 2, std: 2, size: 2, rest_ms: 2}\n"
                   "  z: {type: collect, from: b}\n");
  const auto pipeline = load({.file = file, .configs = {over}, .overrides = {"b.rest_ms=6"}});
  EXPECT_EQ(value(pipeline, "b", "mode"), "exact");
  EXPECT_EQ(value(pipeline, "b", "loud"), "true");
  EXPECT_EQ(value(pipeline, "b", "by"), "3");
  EXPECT_EQ(value(pipeline, "b", "std"), "4");
  EXPECT_EQ(value(pipeline, "b", "size"), "5");
  EXPECT_EQ(value(pipeline, "b", "rest_ms"), "6");
}

TEST(Layers, problem_is_placed_where_the_value_came_from) {
  const Folder folder;
  const auto over = folder.write("over.yaml", "stages:\n  b:\n    std: 0\n    sdt: 1\n");
  const auto file = folder.write("p.yaml", plain);
  EXPECT_EQ(complaint({.file = file, .configs = {over}, .overrides = {"b.by=x", "c.by=3", "b.loud=yes"}}),
            "--set c.by=3: no stage or block 'c'; did you mean 'a'?");
  EXPECT_EQ(replaced(complaint({.file = file, .configs = {over}, .overrides = {"b.by=x", "b.loud=yes"}}),
                     over.string(), "over.yaml"),
            "--set b.by=x: stage 'b': 'by': expected an integer, got 'x'\n"
            "--set b.loud=yes: stage 'b': 'loud': expected true or false, got 'yes'\n"
            "over.yaml:3:10: stage 'b': 'std': 0 is out of range; expected above 0\n"
            "over.yaml:4:5: stage 'b': unknown parameter 'sdt'; did you mean 'std'?");
}

TEST(Layers, change_of_type_drops_what_the_new_type_lacks_and_says_so) {
  const Folder folder;
  const auto file = folder.write("p.yaml",
                                 "stages:\n"
                                 "  a: {type: numbers}\n"
                                 "  b: {type: scale, from: a, by: 5, std: 2}\n"
                                 "  z: {type: collect, from: b}\n");
  const auto pipeline = load({.file = file, .overrides = {"b.type=shift"}});
  EXPECT_EQ(value(pipeline, "b", "by"), "5");
  ASSERT_EQ(pipeline.notes.size(), 1u);
  EXPECT_EQ(replaced(pipeline.notes[0], file.string(), "p.yaml"),
            "--set b.type=shift: stage 'b' is now 'shift', which has no 'std'; the value from p.yaml:3:36 is "
            "dropped");
  // What comes with or after the change must fit.
  EXPECT_EQ(complaint({.file = file, .overrides = {"b.type=shift", "b.std=3"}}),
            "--set b.std=3: stage 'b': unknown parameter 'std'");
}

TEST(Layers, type_can_change_in_a_config_and_back) {
  const Folder folder;
  const auto over = folder.write("over.yaml", "stages: {b: {type: shift, window: 9}}\n");
  const auto file = folder.write("p.yaml", plain);
  const auto shifted = load({.file = file, .configs = {over}});
  EXPECT_EQ(value(shifted, "b", "window"), "9");
  const auto scaled = load({.file = file, .configs = {over}, .overrides = {"b.type=scale"}});
  EXPECT_EQ(scaled.notes.size(), 1u);
}

TEST(Layers, headless_block_counts_only_when_asked_for) {
  const Folder folder;
  const auto with = folder.write("p.yaml", plain + "headless:\n  stages: {b: {by: 9}}\n  stop: {steps: 3}\n");
  const auto without = folder.write("q.yaml", plain);
  EXPECT_TRUE(graph::has_headless(with));
  EXPECT_FALSE(graph::has_headless(without));
  EXPECT_EQ(value(load({.file = with}), "b", "by"), "2");
  const auto headless = load({.file = with, .headless = true});
  EXPECT_EQ(value(headless, "b", "by"), "9");
  EXPECT_EQ(headless.stop.steps, 3u);
  EXPECT_EQ(value(load({.file = with, .overrides = {"b.by=4"}, .headless = true}), "b", "by"), "4");
  EXPECT_EQ(complaint({.file = without, .headless = true}),
            without.string() + ":1:1: no 'headless:' block, so --headless means nothing here; take it out");
}

TEST(Layers, from_merges_by_port) {
  const Folder folder;
  const auto file = folder.write("p.yaml",
                                 "stages:\n"
                                 "  a: {type: numbers}\n"
                                 "  b: {type: numbers}\n"
                                 "  c: {type: add, from: {a: a, b: a}}\n"
                                 "  y: {type: collect, from: b}\n"
                                 "  z: {type: collect, from: c}\n");
  const auto over = folder.write("over.yaml", "stages: {c: {from: {b: {stage: b}}}}\n");
  const auto pipeline = load({.file = file, .configs = {over}});
  std::vector<std::string> into;
  for (const auto& edge : pipeline.edges)
    if (pipeline.stages[edge.to].name == "c") into.push_back(pipeline.stages[edge.from].name);
  EXPECT_EQ(into, (std::vector<std::string>{"a", "b"}));
}

TEST(Layers, from_as_an_edge_replaces_the_edge) {
  const Folder folder;
  const auto file = folder.write("p.yaml", plain);
  const auto pipeline =
      load({.file = file, .overrides = {"z.from={stage: b, when_full: drop_oldest, capacity: 7}"}});
  EXPECT_EQ(pipeline.edges.back().capacity, 7u);
  EXPECT_EQ(pipeline.stages.back().in_flight, 4);
}

TEST(Layers, config_may_add_a_stage) {
  const Folder folder;
  const auto file = folder.write("p.yaml", plain);
  const auto over = folder.write("over.yaml", "stages: {y: {type: collect, from: b}}\n");
  EXPECT_EQ(load({.file = file, .configs = {over}}).stages.size(), 4u);
}

TEST(Layers, overrides_reach_stages_blocks_and_top_level) {
  const Folder folder;
  const auto file = folder.write("p.yaml",
                                 "stages:\n"
                                 "  a: {type: numbers}\n"
                                 "  b: {type: wide, from: a}\n"
                                 "  z: {type: collect, from: b}\n");
  const auto pipeline =
      load({.file = file, .overrides = {"settings.width=3", "stop.steps=10", "seed=5", "a.first=1"}});
  EXPECT_EQ(pipeline.stop.steps, 10u);
  EXPECT_EQ(value(pipeline, "a", "seed"), "5");
  EXPECT_EQ(value(pipeline, "a", "first"), "1");
  EXPECT_EQ(pipeline.merged.find("settings")->find("width")->scalar, "3");
}

TEST(Layers, own_value_beats_the_shared_one) {
  const Folder folder;
  const auto file = folder.write("p.yaml", "seed: 3\n" + plain);
  const auto pipeline = load({.file = file, .overrides = {"b.seed=8"}});
  EXPECT_EQ(value(pipeline, "a", "seed"), "3");
  EXPECT_EQ(value(pipeline, "b", "seed"), "8");
}

TEST(Layers, broken_overrides_are_all_named) {
  const Folder folder;
  const auto file = folder.write("p.yaml", plain);
  EXPECT_EQ(
      complaint({.file = file, .overrides = {"by", "=3", "", "b.by=[1", "nose.std=3", "b.by={a: 1, a: 2}"}}),
      "--set by: expected stage.key=value, for example noise.std=0.8\n"
      "--set =3: expected stage.key=value, for example noise.std=0.8\n"
      "--set : expected stage.key=value, for example noise.std=0.8\n"
      "--set b.by=[1: a '[' or a quote before this is not closed\n"
      "--set nose.std=3: no stage or block 'nose'\n"
      "--set b.by={a: 1, a: 2}: duplicate key 'a'; it stands already in line 1");
  const auto two = complaint({.file = file, .overrides = {"b.by=", "sede=3", "b=3"}});
  EXPECT_TRUE(
      two.starts_with("--set b=3: stage 'b': expected a map with 'type', got '3'\n"
                      "--set sede=3: unknown key 'sede'; did you mean 'seed'?"))
      << two;
  EXPECT_EQ(complaint({.file = file, .overrides = {"b.by=", "b..by=3", "b.by.by=3"}}),
            "--set b..by=3: stage 'b': unknown parameter ''; did you mean 'by'?\n"
            "--set b.by.by=3: stage 'b': 'by': expected an integer, got a map");
}

TEST(Layers, merged_yaml_is_the_same_plan_again) {
  const Folder folder;
  folder.write("cpu.yaml", "stages: {s: {rest_ms: 0.1, list: [1, 2]}}\nsettings: {width: 4}\n");
  const auto file = folder.write(
      "p.yaml",
      "configs: [cpu.yaml]\n"
      "stop: {minutes: 0.5}\n"
      "stages:\n"
      "  a: {type: numbers, in_flight: 9}\n"
      "  s: {type: scale, from: a, mode: rounded, std: 1.0000000000000002}\n"
      "  w: {type: wide, from: s}\n"
      "  loop: {type: add_up, from: {x: w, total: {stage: loop.total, feedback: 2}}}\n"
      "  late: {type: shift, from: {stage: loop.sum, when_full: drop_oldest, capacity: 5}, in_flight: 2}\n"
      "  both: {type: sample, from: {x: late, newest: w}}\n"
      "  seen: {type: show, from: both}\n"
      "  all: {type: gather, from: {x: both, all: [seen, loop.sum]}}\n"
      "  p: {type: pass, from: all}\n"
      "  z: {type: swallow, from: p}\n");
  const auto once = load({.file = file, .overrides = {"s.by=-3", "seed=11"}});
  const auto again = load({.file = folder.write("merged/p.yaml", to_yaml(once.merged))});
  EXPECT_EQ(plan_text(again), plan_text(once));
  EXPECT_EQ(to_yaml(again.merged), to_yaml(once.merged));
  EXPECT_EQ(again.stages.size(), 10u);
}

TEST(Layers, merged_yaml_keeps_different_defaults_of_a_shared_value) {
  const Folder folder;
  const auto once = load({.file = folder.write("p.yaml", plain)});
  ASSERT_EQ(value(once, "a", "seed"), "0");
  ASSERT_EQ(value(once, "b", "seed"), "7");
  const auto again = load({.file = folder.write("q.yaml", to_yaml(once.merged))});
  EXPECT_EQ(plan_text(again), plan_text(once));
}

TEST(Yaml, every_text_reads_back_as_it_was) {
  for (const std::string text : {"",          "~",    "null", "Null",     "NULL",       "true",
                                 "no",        "010",  "1.5",  " space ",  "a: b",       "# not a comment",
                                 "- dash",    "[x",   "{x",   "'quoted'", "\"double\"", "two\nlines",
                                 "tab\there", "µ ─►", "!tag", "&anchor",  "*alias",     "%x",
                                 "@x",        "`x`",  "a #b", "a:",       ":",          "?",
                                 "-",         "---",  "...",  "<<",       "\\",         "=",
                                 "0x10",      ".inf", "|",    ">"}) {
    graph::Value map, scalar;
    map.kind = graph::Value::Kind::map;
    scalar.kind = graph::Value::Kind::scalar;
    scalar.scalar = text;
    map.set("key", scalar);
    graph::Value list;
    list.kind = graph::Value::Kind::list;
    list.items = {scalar, scalar};
    map.set("list", list);
    const auto yaml = to_yaml(map);
    try {
      const auto back = graph::parse_yaml(yaml, "back");
      EXPECT_TRUE(back.find("key")->is_scalar()) << yaml;
      EXPECT_EQ(back.find("key")->scalar, text) << yaml;
      EXPECT_EQ(back.find("list")->items.at(1).scalar, text) << yaml;
    } catch (const Error& error) {
      ADD_FAILURE() << error.what() << " in " << yaml;
    }
  }
}

TEST(Yaml, every_number_reads_back_as_it_was) {
  for (const double number :
       {0.0, -0.0, 1.0, 0.1, 1e300, -1e-300, 1.0 / 3, 123456789012345.0, 1e22, 5e-324}) {
    EXPECT_EQ(graph::Codec<double>::decode(graph::Codec<double>::encode(number)), number);
  }
  for (const auto number : {INT64_MIN, INT64_MAX, std::int64_t{0}, std::int64_t{-1}})
    EXPECT_EQ(graph::Codec<std::int64_t>::decode(graph::Codec<std::int64_t>::encode(number)), number);
  EXPECT_EQ(graph::Codec<std::uint64_t>::decode(graph::Codec<std::uint64_t>::encode(UINT64_MAX)), UINT64_MAX);
}

TEST(Types, are_named_without_namespaces) {
  struct Local {};
  EXPECT_EQ(graph::type_of<Local>().name, "Local");
  EXPECT_EQ(graph::type_of<std::vector<Local>>().name, "vector<Local, allocator<Local> >");
  EXPECT_EQ(graph::type_of<int>().name, "int");
}

// --- order and pictures ----------------------------------------------------------------------------------------

Pipeline loaded(const std::string& yaml) {
  const Folder folder;
  return load({.file = folder.write("p.yaml", yaml)});
}

TEST(Plan, holds_stages_upstream_first_whatever_the_order_in_the_file) {
  const auto pipeline = loaded(
      "stages:\n"
      "  z: {type: collect, from: c}\n"
      "  c: {type: add, from: {a: b, b: a}}\n"
      "  b: {type: scale, from: a}\n"
      "  a: {type: numbers}\n");
  std::string order;
  for (const auto& stage : pipeline.stages) order += stage.name;
  EXPECT_EQ(order, "abcz");
}

const std::string train =
    "stages:\n"
    "  clips: {type: numbers}\n"
    "  noise: {type: scale, from: clips}\n"
    "  model: {type: add_up, from: {x: noise, total: {stage: step.total, feedback: 1}}}\n"
    "  step: {type: add_up, from: {x: model.sum, total: {stage: step.total, feedback: 1}}}\n"
    "  saved: {type: shift, from: step.sum}\n"
    "  log: {type: collect, from: saved}\n"
    "  dreams: {type: collect, from: {stage: step.sum, when_full: latest}}\n";

const std::string play =
    "stages:\n"
    "  clock: {type: numbers}\n"
    "  players: {type: gather, from: {x: clock, all: window}}\n"
    "  dream: {type: shift, from: players}\n"
    "  window: {type: show, from: {stage: dream, when_full: latest}}\n";

const std::string diamond =
    "stages:\n"
    "  a: {type: numbers}\n"
    "  b: {type: scale, from: a}\n"
    "  c: {type: shift, from: a}\n"
    "  d: {type: add, from: {a: b, b: c}}\n"
    "  e: {type: swallow, from: d}\n";

TEST(Picture, of_training_in_text) {
  EXPECT_EQ(draw_text(loaded(train)), R"(clips ─► noise ─► model ─ sum ─► step ─┬─ sum ─► saved ─► log
                                       ├─ sum, latest ─► dreams
                                       ├─ total, feedback 1 ─► ↩ model.total
                                       └─ total, feedback 1 ─► ↩ step.total
)");
}

TEST(Picture, of_playing_in_text) {
  EXPECT_EQ(draw_text(loaded(play)), R"(clock ─► players ─► dream ─ latest ─► window ─► ↩ players.all
)");
}

TEST(Picture, of_a_diamond_in_text) {
  EXPECT_EQ(draw_text(loaded(diamond)), R"(a ─┬─► b ─► d ─► e
   └─► c ─► ↩ d.b
)");
}

TEST(Picture, for_graphviz) {
  EXPECT_EQ(draw_dot(loaded(play)), R"(digraph pipeline {
  rankdir=LR;
  node [shape=box];
  clock [label="clock\nnumbers"];
  players [label="players\ngather"];
  dream [label="dream\nshift"];
  window [label="window\nshow"];
  clock -> players [label=""];
  window -> players [label="", style=dashed];
  players -> dream [label=""];
  dream -> window [label="latest", style=dashed];
}
)");
}

TEST(Picture, for_mermaid) {
  EXPECT_EQ(draw_mermaid(loaded(train)), R"(flowchart LR
  clips["clips<br/>numbers"]
  noise["noise<br/>scale"]
  model["model<br/>add_up"]
  step["step<br/>add_up"]
  saved["saved<br/>shift"]
  log["log<br/>collect"]
  dreams["dreams<br/>collect"]
  clips --> noise
  noise --> model
  step -->|total, feedback 1| model
  model -->|sum| step
  step -->|total, feedback 1| step
  step -->|sum| saved
  saved --> log
  step -.->|sum, latest| dreams
)");
}

}  // namespace
}  // namespace tests
