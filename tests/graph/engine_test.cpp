// engine_test: order, bounds, drops, failures and endings of running pipelines.
#include "graph/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <random>
#include <thread>

#include "graph/stage.h"
#include "tests/folder.h"
#include "tests/graph/number_stages.h"

namespace tests {
namespace {

using namespace std::chrono_literals;
using graph::Context;
using graph::Engine;
using graph::Stage;
using Steady = std::chrono::steady_clock;

// --- stages that watch the engine ------------------------------------------------------------------------------

// Counts the bodies that are alive, whoever holds them.
struct Alive {
  static inline std::atomic<int> now{0}, peak{0};
  static void reset() { now = peak = 0; }

  explicit Alive(std::int64_t number) : value(number) {
    const int count = ++now;
    for (int seen = peak; count > seen && !peak.compare_exchange_weak(seen, count);) {
    }
  }
  Alive(const Alive& other) : Alive(other.value) {}
  Alive(Alive&& other) noexcept : value(other.value), counts(std::exchange(other.counts, false)) {}
  ~Alive() {
    if (counts) --now;
  }

  std::int64_t value;
  bool counts = true;
};

struct LiveNumbers {
  Alive operator()(const Context& context) const { return Alive(static_cast<std::int64_t>(context.number)); }
};
const bool live_numbers = Stage<LiveNumbers>("live_numbers").summary("").out("number", "").add();

// A stage behind the source makes no bodies of its own, so that all that live are the source's.
struct Slow {
  struct Params {
    double rest_ms = 0;
    int keep = 1;  // one in so many
  };
  graph::Any operator()(const graph::Any& any, const Context& context) const {
    if (params.rest_ms > 0)
      std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(params.rest_ms));
    return context.number % static_cast<std::uint64_t>(params.keep) == 0 ? any : graph::Any();
  }
  Params params;
};
const bool slow = Stage<Slow>("slow")
                      .summary("")
                      .in("any", "")
                      .out("same", "")
                      .param("rest_ms", &Slow::Params::rest_ms, "")
                      .param("keep", &Slow::Params::keep, "")
                      .add();

struct Pair {
  void operator()(const graph::Any& a, const graph::Any& b) const {
    graph::require(a.get<Alive>()->value == b.get<Alive>()->value, "a join of different numbers");
    ++pairs;
  }
  static inline std::atomic<int> pairs{0};
};
const bool pair = Stage<Pair>("pair").summary("").in("a", "").in("b", "").add();

struct FailAt {
  struct Params {
    std::string where = "body";
    std::int64_t at = 57;
  };
  void start() const {
    if (params.where == "start") throw std::runtime_error("does not start");
  }
  Number operator()(const Number& x) const {
    if (params.where == "body" && x.value == params.at)
      throw std::runtime_error("is not to my taste\nbacktrace");
    if (params.where == "odd" && x.value == params.at) throw 3;
    return x;
  }
  void finish() const {
    finished = true;
    if (params.where == "finish") throw std::runtime_error("does not finish");
  }
  static inline std::atomic<bool> finished{false};
  Params params;
};
const bool fail_at = Stage<FailAt>("fail_at")
                         .summary("")
                         .in("x", "")
                         .out("same", "")
                         .param("where", &FailAt::Params::where, "")
                         .param("at", &FailAt::Params::at, "")
                         .add();

struct FailIdle {
  void operator()(const Number&) const {}
  void idle() const { throw std::runtime_error("is bored"); }
};
const bool fail_idle = Stage<FailIdle>("fail_idle").summary("").in("x", "").on(graph::Executor::thread).add();

// Never returns before it is told to.
struct Stuck {
  void operator()(const Number& x, const Context& context) const {
    if (x.value != 3) return;
    std::mutex mutex;
    std::condition_variable_any wait;
    std::unique_lock lock(mutex);
    wait.wait(lock, context.stop_token(), [] { return false; });
  }
};
const bool stuck = Stage<Stuck>("stuck").summary("").in("x", "").on(graph::Executor::thread).add();

// A source that sleeps until it is told to stop.
struct Sleeper {
  std::optional<Number> operator()(const Context& context) const {
    if (context.number < 2) return Number{0};
    std::mutex mutex;
    std::condition_variable_any wait;
    std::unique_lock lock(mutex);
    wait.wait(lock, context.stop_token(), [] { return false; });
    return std::nullopt;
  }
};
const bool sleeper = Stage<Sleeper>("sleeper").summary("").out("number", "").add();

struct Threads {
  struct Params {
    std::string expected;
  };
  void operator()(const Number&) {
    const auto here = std::this_thread::get_id();
    if (first == std::thread::id()) first = here;
    graph::require(here == first, "the thread changed");
    ids = here;
  }
  static inline std::atomic<std::thread::id> ids;
  std::thread::id first;
};
struct MainThreads : Threads {
  void operator()(const Number& x) { Threads::operator()(x); }
};
const bool threads = Stage<Threads>("on_thread").summary("").in("x", "").on(graph::Executor::thread).add();
const bool main_threads =
    Stage<MainThreads>("on_main").summary("").in("x", "").on(graph::Executor::main).add();

struct Last {
  void operator()(const Number& x) { sum += x.value; }
  Number finish() const { return {sum}; }
  std::int64_t sum = 0;
};
const bool last = Stage<Last>("last").summary("").in("x", "").out("sum", "at the end").add();

// --- helpers -------------------------------------------------------------------------------------------------

graph::Pipeline pipeline(const std::string& yaml) {
  const Folder folder;
  return graph::load({.file = folder.write("p.yaml", yaml)});
}

// Runs to the end; the text of the failure, or "".
std::string run(const graph::Pipeline& plan, graph::RunOptions options = {}) {
  Engine engine(plan, std::move(options));
  try {
    engine.run();
  } catch (const graph::Error& error) {
    return error.what();
  }
  return "";
}

std::vector<std::int64_t> up_to(std::int64_t n) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < n; ++i) all.push_back(i);
  return all;
}

class EngineTest : public testing::Test {
 protected:
  EngineTest() {
    collected().clear();
    Alive::reset();
    Pair::pairs = 0;
    FailAt::finished = false;
  }
};

// --- order ---------------------------------------------------------------------------------------------------

TEST_F(EngineTest, AMillionMessagesPassFiveStagesInOrder) {
  const auto plan = pipeline(R"(
stages:
  n: {type: numbers, count: 1000000, in_flight: 64}
  a: {type: shift, from: n}
  b: {type: shift, from: a}
  c: {type: shift, from: b}
  d: {type: shift, from: c}
  e: {type: shift, from: d, by: -4}
  end: {type: collect, from: e}
)");
  ASSERT_EQ(run(plan), "");
  EXPECT_EQ(collected().values("end"), up_to(1'000'000));
}

TEST_F(EngineTest, ADiamondJoinsByNumberEvenWhenABranchFilters) {
  const auto plan = pipeline(R"(
stages:
  n: {type: numbers, count: 10000, in_flight: 7}
  even: {type: keep_every, from: n}
  third: {type: keep_every, from: n, nth: 3}
  sum: {type: add, from: {a: even, b: third}}
  end: {type: collect, from: sum}
)");
  ASSERT_EQ(run(plan), "");
  std::vector<std::int64_t> expected;
  for (std::int64_t i = 0; i < 10000; i += 6) expected.push_back(2 * i);
  EXPECT_EQ(collected().values("end"), expected);
}

TEST_F(EngineTest, TwoSourcesJoinUntilTheShorterEnds) {
  const auto plan = pipeline(R"(
stages:
  n: {type: numbers, count: 100}
  m: {type: numbers, count: 70, first: 1000}
  sum: {type: add, from: {a: n, b: m}}
  end: {type: collect, from: sum}
)");
  ASSERT_EQ(run(plan), "");
  const auto values = collected().values("end");
  ASSERT_EQ(values.size(), 70u);
  for (std::size_t i = 0; i < 70; ++i) EXPECT_EQ(values[i], 1000 + 2 * static_cast<std::int64_t>(i));
}

TEST_F(EngineTest, FeedbackGoesRoundInOrder) {
  for (const int tokens : {1, 2}) {
    collected().clear();
    const auto plan = pipeline(R"(
stages:
  n: {type: numbers, count: 1000}
  sum: {type: add_up, from: {x: n, total: {stage: sum.total, feedback: )" +
                               std::to_string(tokens) + R"(}}}
  end: {type: collect, from: sum.sum}
)");
    ASSERT_EQ(run(plan), "");
    // One token: the running total of all. Two: two interleaved totals, each one step stale.
    std::vector<std::int64_t> expected;
    std::vector<std::int64_t> total(static_cast<std::size_t>(tokens), 100);
    for (std::int64_t i = 0; i < 1000; ++i) {
      auto& own = total[static_cast<std::size_t>(i % tokens)];
      own += i;
      expected.push_back(own);
    }
    EXPECT_EQ(collected().values("end"), expected) << tokens;
  }
}

TEST_F(EngineTest, AnOpeningIsThereBeforeTheFirstMessage) {
  const auto plan = pipeline(R"(
stages:
  n: {type: herald}
  same: {type: pass, from: n}
  h: {type: heard, from: {x: same, opening: n.opening}}
  end: {type: collect, from: h}
stop: {steps: 20}
)");
  for (int again = 0; again < 20; ++again) {
    collected().clear();
    ASSERT_EQ(run(plan), "");
    const auto values = collected().values("end");
    ASSERT_EQ(values.size(), 20u);
    EXPECT_EQ(values.front(), 0);
    EXPECT_EQ(values.back(), 19);
  }
}

TEST_F(EngineTest, AFilterBeforeAFeedbackLoopDoesNotStarveIt) {
  const auto plan = pipeline(R"(
stages:
  n: {type: numbers, count: 1000}
  even: {type: keep_every, from: n}
  sum: {type: add_up, from: {x: even, total: {stage: sum.total, feedback: 1}}}
  end: {type: collect, from: sum.sum}
)");
  ASSERT_EQ(run(plan), "");
  EXPECT_EQ(collected().values("end").back(), 100 + 499 * 500);
}

// --- bounds --------------------------------------------------------------------------------------------------

TEST_F(EngineTest, InFlightIsBoundedWithFiltersFanOutAndJoins) {
  const auto plan = pipeline(R"(
stages:
  n: {type: live_numbers, in_flight: 5}
  a: {type: slow, from: n, keep: 3}
  b: {type: slow, from: n}
  c: {type: slow, from: b, keep: 2}
  both: {type: pair, from: {a: a, b: c}}
  rest: {type: swallow, from: b}
stop: {steps: 3000}
)");
  ASSERT_EQ(run(plan), "");
  EXPECT_EQ(Pair::pairs, 500);
  EXPECT_LE(Alive::peak, 5);
  EXPECT_EQ(Alive::now, 0);
}

TEST_F(EngineTest, AJoinOfASlowAndAFastBranchIsBounded) {
  const auto plan = pipeline(R"(
stages:
  n: {type: live_numbers, in_flight: 4}
  a: {type: slow, from: n, rest_ms: 0.5}
  b: {type: slow, from: n}
  both: {type: pair, from: {a: a, b: b}}
stop: {steps: 300}
)");
  ASSERT_EQ(run(plan), "");
  EXPECT_EQ(Pair::pairs, 300);
  EXPECT_LE(Alive::peak, 4);
}

TEST_F(EngineTest, DroppingEdgesAreBoundedAndCountEveryDrop) {
  for (const auto* policy : {"latest", "drop_oldest, capacity: 3", "drop_newest, capacity: 3"}) {
    Alive::reset();
    const auto plan = pipeline(R"(
stages:
  n: {type: live_numbers, in_flight: 4}
  a: {type: slow, from: {stage: n, when_full: )" +
                               std::string(policy) + R"(}, rest_ms: 1, in_flight: 2}
  b: {type: slow, from: a, rest_ms: 1}
  end: {type: swallow, from: b}
stop: {steps: 2000}
)");
    Engine engine(plan, {});
    engine.run();
    // The source's own 4, the mailbox's 1 or 3 and the 2 that the slow branch may hold.
    EXPECT_LE(Alive::peak, 4 + 3 + 2) << policy;
    EXPECT_EQ(Alive::now, 0) << policy;
    for (const auto& edge : engine.telemetry().edges) {
      if (edge.to != "a.any") continue;
      std::uint64_t processed = 0;
      for (const auto& stage : engine.telemetry().stages)
        if (stage.name == "a") processed = stage.messages;
      EXPECT_EQ(edge.counts.arrived, 2000u) << policy;
      EXPECT_EQ(edge.counts.dropped + processed, 2000u) << policy;
      EXPECT_GT(edge.counts.dropped, 0u) << policy;
    }
  }
}

TEST_F(EngineTest, LatestEndsOnTheNewest) {
  for (int again = 0; again < 20; ++again) {
    collected().clear();
    const auto plan = pipeline(R"(
stages:
  n: {type: numbers, count: 500}
  end: {type: collect, from: {stage: n, when_full: latest}, rest_ms: 0.1}
)");
    ASSERT_EQ(run(plan), "");
    const auto values = collected().values("end");
    EXPECT_EQ(values.back(), 499);
    EXPECT_TRUE(std::is_sorted(values.begin(), values.end()));
  }
}

// --- inputs --------------------------------------------------------------------------------------------------

TEST_F(EngineTest, AGatheredInputLosesNothing) {
  const auto plan = pipeline(R"(
stages:
  n: {type: numbers, count: 300, rest_ms: 0.1}
  m: {type: numbers, count: 900}
  sum: {type: gather, from: {x: n, all: [m, m]}}
  end: {type: collect, from: sum}
)");
  ASSERT_EQ(run(plan), "");
  std::int64_t total = 0;
  for (const auto value : collected().values("end")) total += value;
  EXPECT_EQ(total, 2 * 899 * 900 / 2);
}

TEST_F(EngineTest, ASampledInputShowsTheNewest) {
  const auto plan = pipeline(R"(
stages:
  n: {type: numbers, count: 60, rest_ms: 1}
  m: {type: numbers, count: 7}
  both: {type: sample, from: {x: n, newest: m}}
  end: {type: collect, from: both}
)");
  ASSERT_EQ(run(plan), "");
  EXPECT_EQ(collected().values("end").back(), 59 * 1000 + 6);
}

TEST_F(EngineTest, AnyPassesTheVeryBodyOn) {
  const auto plan = pipeline(R"(
stages:
  n: {type: numbers, count: 50}
  p: {type: pass, from: n}
  end: {type: collect, from: p}
)");
  ASSERT_EQ(run(plan), "");
  EXPECT_EQ(collected().values("end"), up_to(50));
}

// --- failures ------------------------------------------------------------------------------------------------

constexpr const char* failing = R"(
stages:
  n: {type: numbers}
  bad: {type: fail_at, from: n, where: )";

TEST_F(EngineTest, AFailureNamesStagePlaceAndMessageInOneLine) {
  const auto error = run(pipeline(std::string(failing) + "body}\n  end: {type: collect, from: bad}\n"));
  EXPECT_NE(error.find("p.yaml:4:3: stage 'bad', message 57: is not to my taste"), std::string::npos)
      << error;
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  // What was under way when it failed may be lost, but nothing comes after it.
  const auto passed = collected().values("end");
  EXPECT_EQ(passed, up_to(static_cast<std::int64_t>(passed.size())));
  EXPECT_LE(passed.size(), 57u);
  EXPECT_FALSE(FailAt::finished) << "a failed stage is not asked to finish";
}

TEST_F(EngineTest, WhateverIsThrownIsCaught) {
  const auto error = run(pipeline(std::string(failing) + "odd}\n  end: {type: collect, from: bad}\n"));
  EXPECT_NE(error.find("stage 'bad', message 57: unknown exception"), std::string::npos) << error;
}

TEST_F(EngineTest, AStageThatDoesNotStartKeepsTheOthersFromStarting) {
  const auto error = run(pipeline(std::string(failing) + "start}\n  end: {type: collect, from: bad}\n"));
  EXPECT_NE(error.find("p.yaml:4:3: stage 'bad': does not start"), std::string::npos) << error;
  EXPECT_TRUE(collected().values("end").empty());
}

TEST_F(EngineTest, AFailureInFinishFailsTheRun) {
  const auto error =
      run(pipeline("stages:\n  n: {type: numbers, count: 3}\n"
                   "  bad: {type: fail_at, from: n, where: finish}\n"
                   "  end: {type: collect, from: bad}\n"));
  EXPECT_NE(error.find("stage 'bad': does not finish"), std::string::npos) << error;
}

TEST_F(EngineTest, AFailureWhileIdleFailsTheRun) {
  const auto error = run(pipeline("stages:\n  n: {type: sleeper}\n  bad: {type: fail_idle, from: n}\n"));
  EXPECT_NE(error.find("stage 'bad': is bored"), std::string::npos) << error;
}

// --- endings -------------------------------------------------------------------------------------------------

TEST_F(EngineTest, StopsAtAnyMomentAThousandTimes) {
  const auto plan = pipeline(R"(
stages:
  n: {type: numbers, in_flight: 8}
  a: {type: shift, from: n}
  b: {type: keep_every, from: n}
  sum: {type: add, from: {a: a, b: b}}
  t: {type: on_thread, from: sum}
  l: {type: collect, from: {stage: a, when_full: latest}}
)");
  std::mt19937 random(7);
  for (int again = 0; again < 1000; ++again) {
    Engine engine(plan, {});
    const auto when = std::chrono::microseconds(random() % 600);
    std::thread stopper([&] {
      std::this_thread::sleep_for(when);
      engine.stop();
    });
    engine.run();
    stopper.join();
  }
}

TEST_F(EngineTest, StoppedBeforeItRunsItEndsAtOnce) {
  Engine engine(pipeline("stages:\n  n: {type: numbers}\n  end: {type: collect, from: n}\n"), {});
  engine.stop();
  engine.run();
  EXPECT_LE(collected().values("end").size(), 4u);
}

TEST_F(EngineTest, StopWakesASourceThatSleeps) {
  Engine engine(pipeline("stages:\n  n: {type: sleeper}\n  end: {type: swallow, from: n}\n"), {});
  auto ran = std::async(std::launch::async, [&] { engine.run(); });
  std::this_thread::sleep_for(50ms);
  engine.stop();
  EXPECT_EQ(ran.wait_for(5s), std::future_status::ready);
}

TEST_F(EngineTest, MinutesEndTheRunEvenWhenTheSourceSleeps) {
  const auto begin = Steady::now();
  EXPECT_EQ(run(pipeline("stages:\n  n: {type: sleeper}\n  end: {type: swallow, from: n}\n"
                         "stop: {minutes: 0.005}\n")),
            "");
  EXPECT_GE(Steady::now() - begin, 300ms);
  EXPECT_LT(Steady::now() - begin, 5s);
}

TEST_F(EngineTest, StepsCountFromTheFirstMessage) {
  const auto plan =
      pipeline("stages:\n  n: {type: numbers}\n  end: {type: collect, from: n}\nstop: {steps: 12}\n");
  ASSERT_EQ(run(plan), "");
  EXPECT_EQ(collected().numbers("end").size(), 12u);
  collected().clear();
  ASSERT_EQ(run(plan, {.first = 9}), "");
  EXPECT_EQ(collected().numbers("end"), (std::vector<std::uint64_t>{9, 10, 11}));
  collected().clear();
  ASSERT_EQ(run(plan, {.first = 12}), "");
  EXPECT_TRUE(collected().numbers("end").empty());
}

TEST_F(EngineTest, FinishMaySendALastMessage) {
  ASSERT_EQ(run(pipeline("stages:\n  n: {type: numbers, count: 10}\n  sum: {type: last, from: n}\n"
                         "  end: {type: collect, from: sum}\n")),
            "");
  EXPECT_EQ(collected().values("end"), std::vector<std::int64_t>{45});
}

// --- executors -----------------------------------------------------------------------------------------------

TEST_F(EngineTest, MainStagesRunOnTheCallersThreadAndThreadStagesOnOneOfTheirOwn) {
  ASSERT_EQ(run(pipeline("stages:\n  n: {type: numbers, count: 500}\n  end: {type: on_main, from: n}\n")),
            "");
  EXPECT_EQ(Threads::ids, std::this_thread::get_id());
  ASSERT_EQ(run(pipeline("stages:\n  n: {type: numbers, count: 500}\n  end: {type: on_thread, from: n}\n")),
            "");
  EXPECT_NE(Threads::ids, std::this_thread::get_id());
}

TEST_F(EngineTest, IdleSendsWithoutAnInput) {
  const auto plan = pipeline(R"(
stages:
  n: {type: numbers, count: 40, rest_ms: 5}
  window: {type: show, from: n}
  keys: {type: gather, from: {x: n, all: window}}
  end: {type: collect, from: keys}
)");
  ASSERT_EQ(run(plan), "");
  std::int64_t pressed = 0;
  for (const auto value : collected().values("end")) pressed += value;
  EXPECT_GT(pressed, 0);
}

// --- looking in ----------------------------------------------------------------------------------------------

TEST_F(EngineTest, TheWatchdogNamesTheStageThatDoesNotReturn) {
  std::promise<std::string> said;
  std::atomic<bool> once{false};
  graph::RunOptions options;
  options.quiet = 100ms;
  options.warn = [&](const std::string& text) {
    if (!once.exchange(true)) said.set_value(text);
  };
  Engine engine(pipeline("stages:\n  n: {type: numbers}\n  victim: {type: stuck, from: n}\n"), options);
  auto ran = std::async(std::launch::async, [&] { engine.run(); });
  auto warning = said.get_future();
  ASSERT_EQ(warning.wait_for(5s), std::future_status::ready);
  const auto text = warning.get();
  EXPECT_NE(text.find("stage 'victim' has been in message 3 for"), std::string::npos) << text;
  EXPECT_NE(text.find("stage 'n' waits"), std::string::npos) << text;
  engine.stop();
  EXPECT_EQ(ran.wait_for(5s), std::future_status::ready);
}

TEST_F(EngineTest, ALiveParameterChangesBetweenMessages) {
  Engine engine(pipeline("stages:\n  n: {type: numbers, rest_ms: 0.2}\n  s: {type: scale, from: n, by: 1}\n"
                         "  end: {type: collect, from: s}\n"),
                {});
  auto ran = std::async(std::launch::async, [&] { engine.run(); });
  std::this_thread::sleep_for(30ms);
  EXPECT_THROW(engine.set("s", "by", "1001"), graph::Error) << "out of range";
  EXPECT_THROW(engine.set("s", "std", "2"), graph::Error) << "not live";
  EXPECT_THROW(engine.set("s", "bye", "2"), graph::Error) << "unknown parameter";
  EXPECT_THROW(engine.set("t", "by", "2"), graph::Error) << "unknown stage";
  engine.set("s", "by", "-1");
  std::this_thread::sleep_for(30ms);
  engine.stop();
  ran.get();
  const auto values = collected().values("end");
  EXPECT_GT(values[1], 0);
  EXPECT_LT(values.back(), 0);
}

TEST_F(EngineTest, TelemetryCountsWhatHappened) {
  Engine engine(pipeline("stages:\n  n: {type: numbers, count: 100, in_flight: 3}\n"
                         "  k: {type: keep_every, from: n}\n  end: {type: collect, from: k}\n"),
                {});
  engine.run();
  const auto seen = engine.telemetry();
  for (const auto& stage : seen.stages) {
    if (stage.name == "n") {
      EXPECT_LE(stage.in_flight_peak, 3);
      EXPECT_GE(stage.in_flight_peak, 1);
    }
    if (stage.name == "k") {
      EXPECT_EQ(stage.messages, 100u);
    }
    if (stage.name == "end") {
      EXPECT_EQ(stage.messages, 50u);
      EXPECT_GE(stage.age_max_ms, stage.age_mean_ms);
      EXPECT_GT(stage.age_max_ms, 0);
    }
  }
  for (const auto& edge : seen.edges) EXPECT_EQ(edge.counts.dropped, 0u) << edge.to;
}

}  // namespace
}  // namespace tests
