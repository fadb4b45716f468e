// corners_test: endings, numbers and refusals where several rules of the engine meet.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "graph/engine.h"
#include "graph/stage.h"
#include "tests/folder.h"
#include "tests/graph/number_stages.h"

namespace tests {
namespace {

using namespace std::chrono_literals;
using graph::Context;
using graph::Engine;
using graph::Error;
using graph::Stage;
using Numbers = std::vector<std::int64_t>;

// --- stages ----------------------------------------------------------------------------------------------------

// Gives nothing at all and returns only when it is asked to.
struct Silent {
  std::optional<Number> operator()(const Context& context) const {
    std::mutex mutex;
    std::condition_variable_any wait;
    std::unique_lock lock(mutex);
    wait.wait(lock, context.stop_token(), [] { return false; });
    return std::nullopt;
  }
};
const bool silent = Stage<Silent>("silent").summary("").out("number", "").add();

struct AnySource {
  graph::Any operator()(const Context& context) const {
    return context.number == 5 ? graph::Any::of(Word{"a stranger"}) : graph::Any::of(Number{1});
  }
};
const bool any_source = Stage<AnySource>("any_source").summary("").out("any", "").add();

struct GatherAny {
  Number operator()(const Number& x, const std::vector<graph::Any>& all,
                    const std::optional<graph::Any>& newest) const {
    for (const auto& any : all) any.as<Number>();
    if (newest) newest->as<Number>();
    return x;
  }
};
const bool gather_any =
    Stage<GatherAny>("gather_any").summary("").in("x", "").in("all", "").in("newest", "").out("x", "").add();

struct NoToken {
  Number operator()(const Number& x, const Number&) const { return x; }
  std::optional<Number> start() const { return std::nullopt; }
};
const bool no_token = Stage<NoToken>("no_token").summary("").in("x", "").in("back", "").out("x", "").add();

// Sends on one output from operator() and from idle().
struct Chatty {
  Number operator()(const Number& x) const { return {x.value + 1'000'000}; }
  std::optional<Number> idle() { return Number{++idles}; }
  std::int64_t idles = 0;
};
const bool chatty =
    Stage<Chatty>("chatty").summary("").in("x", "").out("both", "").on(graph::Executor::thread).add();

// --- helpers ---------------------------------------------------------------------------------------------------

graph::Pipeline plan(const std::string& yaml) {
  const Folder folder;
  return graph::load({.file = folder.write("p.yaml", yaml)});
}

// Runs to the end, or stops after `patience`; the failure's text without its file, "" or "did not end".
std::string outcome(const std::string& yaml, std::chrono::milliseconds patience = 10s) {
  collected().clear();
  Engine engine(plan(yaml), {});
  std::mutex mutex;
  std::condition_variable done;
  bool over = false, late = false;
  std::thread limit([&] {
    std::unique_lock lock(mutex);
    late = !done.wait_for(lock, patience, [&] { return over; });
    if (late) engine.stop();
  });
  std::string text;
  try {
    engine.run();
  } catch (const Error& error) {
    text = error.what();
    text.erase(0, text.find(".yaml:") + 6);
  }
  {
    const std::lock_guard lock(mutex);
    over = true;
  }
  done.notify_one();
  limit.join();
  return late ? "did not end" : text;
}

graph::StageCounts counts(const graph::Telemetry& telemetry, const std::string& name) {
  return *std::ranges::find(telemetry.stages, name, &graph::StageCounts::name);
}

// --- endings ---------------------------------------------------------------------------------------------------

TEST(Corners, ASourceThatOnlyFedAnEndedJoinEndsToo) {
  for (const auto* from : {"{a: few, b: b}", "{a: b, b: few}"}) {
    EXPECT_EQ(outcome("stages:\n"
                      "  few: {type: numbers, count: 5}\n"
                      "  endless: {type: numbers}\n"
                      "  b: {type: shift, from: endless}\n"
                      "  j: {type: add, from: " +
                      std::string(from) +
                      "}\n"
                      "  z: {type: collect, from: j}\n"),
              "");
    EXPECT_EQ(collected().values("z").size(), 5u);
  }
}

TEST(Corners, ASourceThatSomebodyStillReadsGoesOn) {
  EXPECT_EQ(outcome("stages:\n"
                    "  few: {type: numbers, count: 5}\n"
                    "  endless: {type: numbers}\n"
                    "  j: {type: add, from: {a: few, b: endless}}\n"
                    "  y: {type: collect, from: endless, rest_ms: 0.1}\n"
                    "  z: {type: collect, from: j}\n",
                    100ms),
            "did not end");
  EXPECT_GT(collected().values("y").size(), 5u);
}

TEST(Corners, ASampledOrGatheredSourceEndsWithItsReader) {
  for (const auto* reader :
       {"{type: sample, from: {x: few, newest: b}}", "{type: gather, from: {x: few, all: b}}"})
    for (const auto* type : {"numbers", "silent"})
      EXPECT_EQ(outcome("stages:\n"
                        "  few: {type: numbers, count: 5}\n"
                        "  b: {type: " +
                        std::string(type) + "}\n  s: " + reader + "\n  z: {type: collect, from: s}\n"),
                "")
          << reader << type;
}

TEST(Corners, ALoopWhoseOtherHalfEndedEarlyEnds) {
  EXPECT_EQ(outcome("stages:\n"
                    "  a: {type: numbers}\n"
                    "  few: {type: numbers, count: 5}\n"
                    "  b: {type: add_up, from: {x: a, total: {stage: d.total, feedback: 1}}}\n"
                    "  j: {type: add, from: {a: b.sum, b: few}}\n"
                    "  d: {type: add_up, from: {x: j, total: {stage: d.total, feedback: 1}}}\n"
                    "  z: {type: collect, from: d.sum}\n"),
            "");
}

TEST(Corners, ALoopOverADroppingEdgeEndsWithItsSource) {
  EXPECT_EQ(outcome("stop: {steps: 50}\nstages:\n"
                    "  clock: {type: numbers, rest_ms: 0.1}\n"
                    "  players: {type: gather, from: {x: clock, all: window}}\n"
                    "  window: {type: show, from: {stage: players, when_full: latest}}\n"),
            "");
}

TEST(Corners, AFailureEndsLoopsJoinsAndDrops) {
  EXPECT_EQ(outcome("stages:\n"
                    "  a: {type: numbers}\n"
                    "  b: {type: add_up, from: {x: a, total: {stage: d.total, feedback: 2}}}\n"
                    "  s: {type: any_source}\n"
                    "  t: {type: scale, from: s}\n"
                    "  j: {type: add, from: {a: b.sum, b: t}}\n"
                    "  d: {type: add_up, from: {x: j, total: {stage: d.total, feedback: 1}}}\n"
                    "  z: {type: collect, from: {stage: d.sum, when_full: latest}}\n"),
            "5:3: stage 't', message 5: expected Number, got Word");
}

// --- feedback --------------------------------------------------------------------------------------------------

std::string looped(const std::string& tokens) {
  return "stop: {steps: 5}\nstages:\n"
         "  a: {type: numbers}\n"
         "  b: {type: add_up, from: {x: a, total: {stage: b.total, feedback: " +
         tokens +
         "}}}\n"
         "  z: {type: collect, from: b.sum}\n";
}

TEST(Corners, OneTokenSeesTheStepBeforeAndTwoTheOneBeforeThat) {
  ASSERT_EQ(outcome(looped("1")), "");
  EXPECT_EQ(collected().values("z"), (Numbers{100, 101, 103, 106, 110}));
  ASSERT_EQ(outcome(looped("2")), "");
  EXPECT_EQ(collected().values("z"), (Numbers{100, 101, 102, 104, 106}));
}

TEST(Corners, AFilteredMessageGoesRoundALoopOfSeveralStages) {
  ASSERT_EQ(outcome("stop: {steps: 6}\nstages:\n"
                    "  a: {type: numbers}\n"
                    "  even: {type: keep_every, from: a, nth: 2}\n"
                    "  b: {type: add_up, from: {x: even, total: {stage: c.total, feedback: 1}}}\n"
                    "  c: {type: add_up, from: {x: b.sum, total: {stage: c.total, feedback: 1}}}\n"
                    "  z: {type: collect, from: b.sum}\n"),
            "");
  // b: 0 + 100; c: 100 + 100; b: 2 + 200; c: 202 + 200; b: 4 + 402
  EXPECT_EQ(collected().values("z"), (Numbers{100, 202, 406}));
}

TEST(Corners, ALoopWithoutAFirstTokenIsRefusedAtTheStart) {
  EXPECT_EQ(outcome("stages:\n"
                    "  a: {type: numbers}\n"
                    "  b: {type: no_token, from: {x: a, back: {stage: b, feedback: 1}}}\n"
                    "  z: {type: collect, from: b}\n"),
            "3:3: stage 'b': start() gave no first message for 'b', which waits for it");
}

// --- types that only the message knows -------------------------------------------------------------------------

TEST(Corners, AMessageOfAnotherTypeIsAnErrorAndNotACrash) {
  EXPECT_EQ(outcome("stages:\n  a: {type: any_source}\n  z: {type: collect, from: a}\n"),
            "3:3: stage 'z', message 5: expected Number, got Word");
}

TEST(Corners, AnyMayBeSampledAndGathered) {
  ASSERT_EQ(outcome("stop: {steps: 20}\nstages:\n"
                    "  a: {type: numbers}\n"
                    "  g: {type: gather_any, from: {x: a, all: [a, a], newest: a}}\n"
                    "  z: {type: collect, from: g}\n"),
            "");
  EXPECT_EQ(collected().values("z").size(), 20u);
}

// --- idle ------------------------------------------------------------------------------------------------------

TEST(Corners, BodyAndIdleMayShareAnOutputAndItsNumbersStillAscend) {
  ASSERT_EQ(outcome("stop: {steps: 50}\nstages:\n"
                    "  a: {type: numbers, rest_ms: 0.5}\n"
                    "  c: {type: chatty, from: a}\n"
                    "  z: {type: collect, from: {stage: c, when_full: drop_oldest, capacity: 1000}}\n"),
            "");
  const auto bodies = std::ranges::count_if(collected().values("z"), [](auto x) { return x >= 1'000'000; });
  EXPECT_EQ(bodies, 50);
  const auto numbers = collected().numbers("z");
  EXPECT_GT(numbers.size(), 50u);
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
  EXPECT_EQ(std::ranges::adjacent_find(numbers), numbers.end());
}

// --- telemetry and live values ---------------------------------------------------------------------------------

TEST(Corners, AFilterCountsWhatItFilters) {
  Engine engine(plan("stop: {steps: 100}\nstages:\n"
                     "  a: {type: numbers}\n"
                     "  b: {type: keep_every, from: a, nth: 4}\n"
                     "  c: {type: shift, from: b}\n"
                     "  z: {type: collect, from: c}\n"),
                {});
  engine.run();
  const auto telemetry = engine.telemetry();
  EXPECT_EQ(counts(telemetry, "a").messages, 100u);
  EXPECT_EQ(counts(telemetry, "a").tombstones, 0u);
  EXPECT_EQ(counts(telemetry, "b").messages, 100u);
  EXPECT_EQ(counts(telemetry, "b").tombstones, 75u);
  EXPECT_EQ(counts(telemetry, "c").messages, 25u);
  EXPECT_EQ(counts(telemetry, "c").tombstones, 75u);
  EXPECT_EQ(counts(telemetry, "z").tombstones, 75u);
}

TEST(Corners, ASourceThatEndsByItselfCountsWhatItSent) {
  Engine engine(plan("stages:\n  a: {type: numbers, count: 12}\n  z: {type: collect, from: a}\n"), {});
  engine.run();
  EXPECT_EQ(counts(engine.telemetry(), "a").messages, 12u);
}

TEST(Corners, ASinkThatSpeaksWhenIdleHasAnAge) {
  Engine engine(plan("stop: {steps: 20}\nstages:\n  a: {type: numbers}\n  w: {type: show, from: a}\n"), {});
  engine.run();
  EXPECT_GT(counts(engine.telemetry(), "w").age_max_ms, 0);
}

TEST(Corners, ALiveValueIsReadBackAsItWillBe) {
  Engine engine(plan("stop: {steps: 2}\nstages:\n"
                     "  a: {type: numbers}\n"
                     "  c: {type: scale, from: a}\n"
                     "  z: {type: collect, from: c}\n"),
                {});
  const auto before = engine.get("c", "by");
  engine.set("c", "by", "7");
  EXPECT_NE(before, "7");
  EXPECT_EQ(engine.get("c", "by"), "7");
  engine.run();
  EXPECT_EQ(engine.get("c", "by"), "7");
  EXPECT_THROW(engine.get("c", "bye"), Error);
}

TEST(Corners, ALiveValueThatDoesNotFitIsRefusedWithAReason) {
  Engine engine(plan("stop: {steps: 2}\nstages:\n"
                     "  a: {type: numbers}\n"
                     "  c: {type: scale, from: a}\n"
                     "  z: {type: collect, from: c}\n"),
                {});
  const auto refusal = [&](const std::string& stage, const std::string& key, const std::string& text) {
    try {
      engine.set(stage, key, text);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(refusal("c", "by", "7"), "");
  EXPECT_EQ(refusal("c", "std", "7"),
            "'c.std' cannot change while the pipeline runs; set it before the start");
  EXPECT_EQ(refusal("c", "bye", "7"), "stage 'c' has no parameter 'bye'; did you mean 'by'?");
  EXPECT_EQ(refusal("cc", "by", "7"), "no stage 'cc'; did you mean 'c'?");
  EXPECT_EQ(refusal("c", "by", "1001"), "c.by: 1001 is out of range; expected -1000 to 1000");
  EXPECT_EQ(refusal("c", "by", "fast"), "c.by: expected an integer, got 'fast'");
  EXPECT_EQ(refusal("c", "by", ""), "c.by: expected an integer, got nothing");
  EXPECT_EQ(refusal("c", "by", "[1"), "c.by: a '[' or a quote before this is not closed");
}

TEST(Corners, EnginesOfOnePlanRunSideBySide) {
  collected().clear();
  const auto shared = plan(
      "stop: {steps: 1000}\nstages:\n"
      "  a: {type: numbers}\n"
      "  b: {type: shift, from: a}\n"
      "  z: {type: collect, from: b}\n");
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      Engine engine(shared, {});
      engine.run();
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(collected().values("z").size(), 3000u);
}

}  // namespace
}  // namespace tests
