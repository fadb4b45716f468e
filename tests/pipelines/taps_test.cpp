// taps_test: other programs watch games and play them, over the wire, as stages/wire/README.md says.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "tests/folder.h"
#include "tests/pipelines/process.h"

namespace {

using namespace std::chrono_literals;
using tests::Folder;
using tests::has;
using tests::Process;
using tests::run;
namespace fs = std::filesystem;

struct Ended {
  int code = -1;
  std::string output;
  nlohmann::json said;  // of a client that ends well: its line
};

// A script of Python, run to its end, or for so many seconds.
Ended python(const std::string& line, int seconds = 120) {
  // Debian's, as it has Debian's packages.
  const auto command = "timeout " + std::to_string(seconds) + " /usr/bin/python3 -B " + line + " 2>&1";
  Ended ended;
  // e: no other process may keep the pipe open.
  FILE* pipe = popen(command.c_str(), "re");
  if (!pipe) return ended;
  char buffer[4096];
  for (std::size_t count; (count = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    ended.output.append(buffer, count);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  if (ended.code == 0) ended.said = nlohmann::json::parse(ended.output, nullptr, false);
  return ended;
}

Ended client(const std::string& line, int seconds = 120) {
  return python(PROJECT_DIR "/tests/pipelines/clients/" + line, seconds);
}

// While other things happen.
std::future<Ended> meanwhile(const std::string& line) {
  return std::async(std::launch::async, [line] { return client(line); });
}

// Games of a network that has learned nothing, at an endpoint of their own.
class Taps : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    trained.emplace();
    const auto done = run({"pipelines/train.yaml", "configs/test-tiny.yaml", "--runs", trained->string(),
                           "--name", "t", "--set", "stop.steps=2"});
    ASSERT_EQ(done.code, 0) << done.output;
  }
  static void TearDownTestSuite() { trained.reset(); }

  void SetUp() override {
    if (std::system("/usr/bin/python3 -c 'import zmq, msgpack' 2>/dev/null") != 0)
      GTEST_SKIP() << "no python3-zmq and python3-msgpack; tools/test brings them";
  }

  std::vector<std::string> arguments(const std::string& pipeline, std::vector<std::string> more = {}) const {
    std::vector<std::string> all{"pipelines/" + pipeline,
                                 "--runs",
                                 folder.string(),
                                 "--set",
                                 "denoise.checkpoint=" + (*trained / "t").string(),
                                 "--set",
                                 "endpoint=" + taps,
                                 "--set",
                                 "control.endpoint=" + control};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void serve(std::vector<std::string> more = {}) {
    server.emplace(arguments("serve.yaml", std::move(more)));
    ASSERT_TRUE(server->printed(control)) << server->output();
  }
  void expect_still_serving() {
    const auto player = client("player.py " + both + " --frames 10");
    EXPECT_EQ(player.code, 0) << player.output << server->output();
    server->signal(SIGINT);
    EXPECT_EQ(server->wait(10s), 0) << server->output();
  }

  static inline std::optional<Folder> trained;
  Folder folder;
  const std::string taps = "ipc://" + (folder / "s").string(), control = taps + ".control",
                    both = control + " " + taps;
  std::optional<Process> server;
};

TEST_F(Taps, AWatcherSeesEveryFrameOfThePersonAtTheMachine) {
  auto watcher = meanwhile("watcher.py " + taps + " frames/0 --count 60 --until-end");
  Process game(
      arguments("play.yaml", {"--headless", "--set", "clock.realtime=true", "--set", "stop.steps=150"}));
  const auto seen = watcher.get();
  ASSERT_EQ(seen.code, 0) << seen.output << game.output();
  EXPECT_EQ(game.wait(30s), 0) << game.output();
  EXPECT_EQ(seen.said["type"], "View");
  EXPECT_EQ(seen.said["shape"], nlohmann::json({24, 24, 3}));
  EXPECT_EQ(seen.said["gaps"], 0);
  EXPECT_EQ(seen.said["ended"], true);
  EXPECT_GE(seen.said["first_seq"].get<int>() + seen.said["frames"].get<int>(), 150) << seen.output;
}

TEST_F(Taps, ThreePlayersActAndAreAnswered) {
  serve();
  const auto hello = client("watcher.py " + taps + " hello");
  ASSERT_EQ(hello.code, 0) << hello.output << server->output();
  EXPECT_EQ(hello.said["type"], "Hello");
  auto turns = meanwhile("watcher.py " + taps + " turns --count 30"),
       slow = meanwhile("watcher.py " + taps + " turns --count 3 --slow 0.5");
  const auto players = client("player.py " + both + " --frames 60 --players 3 --seed 5");
  ASSERT_EQ(players.code, 0) << players.output << server->output();
  EXPECT_EQ(players.said["gaps"], 0);
  EXPECT_GE(players.said["acts"], 3 * 60 / 10);
  EXPECT_EQ(players.said["answered"], players.said["acts"]);
  std::printf("from an act to its frame: %s ms\n", players.said["latency_ms"].dump().c_str());
  const auto seen = turns.get();
  ASSERT_EQ(seen.code, 0) << seen.output;
  EXPECT_EQ(seen.said["type"], "Turn");
  EXPECT_EQ(seen.said["gaps"], 0);
  const auto slowly = slow.get();
  EXPECT_EQ(slowly.code, 0) << slowly.output;
}

TEST_F(Taps, OnePlayerTooManyIsRefusedWithAnAnswer) {
  serve({"--set", "control.max_players=2"});
  const auto three = client("player.py " + both + " --frames 10 --players 3");
  EXPECT_EQ(three.code, 1);
  EXPECT_TRUE(has(three.output, "join was refused: ")) << three.output;
}

TEST_F(Taps, InterruptedItEndsAndTellsAllWhoAreThere) {
  serve();
  auto players = meanwhile("player.py " + both + " --players 2 --until-end"),
       watcher = meanwhile("watcher.py " + taps + " turns --until-end");
  // When a third has come and gone, the others are there.
  const auto third = client("player.py " + both + " --frames 60");
  ASSERT_EQ(third.code, 0) << third.output << server->output();
  const auto began = std::chrono::steady_clock::now();
  server->signal(SIGINT);
  EXPECT_EQ(server->wait(10s), 0) << server->output();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("ended after %.2f s\n", took.count());
  const auto told = players.get(), seen = watcher.get();
  EXPECT_EQ(told.code, 0) << told.output << server->output();
  ASSERT_EQ(seen.code, 0) << seen.output << server->output();
  EXPECT_EQ(seen.said["ended"], true);
}

TEST_F(Taps, ASilentPlayerLeaves) {
  serve({"--set", "control.timeout=2"});
  const auto silent = client("player.py " + both + " --silent");
  ASSERT_EQ(silent.code, 0) << silent.output << server->output();
  EXPECT_GT(silent.said["seconds"], 1.9);
  EXPECT_LT(silent.said["seconds"], 10);
}

TEST_F(Taps, WhoVanishesIsFoundOut) {
  serve();
  const auto vanisher = client("vanisher.py " + both + " --times 20");
  EXPECT_EQ(vanisher.code, 0) << vanisher.output << server->output();
  expect_still_serving();
}

TEST_F(Taps, HostileMessagesAreAnsweredAndChangeNothing) {
  serve();
  const auto hostile = client("hostile.py " + both + " --messages 5000");
  ASSERT_EQ(hostile.code, 0) << hostile.output << server->output();
  EXPECT_EQ(hostile.said["player"]["gaps"], 0);
  expect_still_serving();
}

TEST_F(Taps, WhatIsPutAndHostileIsAnsweredAndChangesNothing) {
  const auto input = taps + ".in";
  std::ofstream(folder / "input.yaml")
      << "inject: [{input: players.actions, topic: presses, endpoint: '" + input + "'}]\n";
  serve({(folder / "input.yaml").string()});
  const auto hostile = client("hostile_put.py " + input + " " + both + " --topic presses --messages 3000");
  ASSERT_EQ(hostile.code, 0) << hostile.output << server->output();
  EXPECT_EQ(hostile.said["gaps"], 0);
  expect_still_serving();
}

TEST_F(Taps, WhatIsNoPipelineIsFoundOutWithALine) {
  auto impostor = meanwhile("impostor.py " + folder.string());
  const auto each_fails = [&](const std::string& verb, const std::string& kind, const std::string& what,
                              const std::vector<std::string>& manners) {
    std::vector<std::unique_ptr<Process>> all;
    for (const auto& manner : manners) {
      std::vector<std::string> line{verb, "ipc://" + (folder / kind).string() + "." + manner};
      if (!what.empty()) line.push_back(what);
      all.push_back(std::make_unique<Process>(line));
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(all[i]->wait(30s), 1) << manners[i];
      const auto said = all[i]->output();
      EXPECT_EQ(std::ranges::count(said, '\n'), 1) << manners[i] << ": " << said;
      EXPECT_TRUE(has(said, kind + "." + manners[i])) << said;
    }
  };
  each_fails("act", "control", "up",
             {"garbage", "nested", "liar", "number", "nothing", "error", "oversized", "events", "silent"});
  each_fails("tap", "taps", "", {"garbage", "version", "nested", "oversized", "type", "fields", "silent"});
  each_fails("tap", "taps", "frames", {"garbage", "version", "cut", "nested", "oversized"});
  Process recorder({"record", "ipc://" + (folder / "taps.escapes").string(), (folder / "game").string()});
  EXPECT_EQ(recorder.wait(30s), 2) << recorder.output();
  EXPECT_TRUE(has(recorder.output(), "has no tap 'frames'")) << recorder.output();
  EXPECT_FALSE(has(recorder.output(), "\33")) << recorder.output();
  std::ofstream(folder / "end") << "now";
  const auto ended = impostor.get();
  EXPECT_EQ(ended.code, 0) << ended.output;
}

TEST_F(Taps, ASecondServerAtTheSameEndpointIsRefused) {
  serve();
  Process second(arguments("serve.yaml"));
  EXPECT_EQ(second.wait(20s), 1) << second.output();
  EXPECT_TRUE(has(second.output(), (folder / "s").string())) << second.output();
  EXPECT_TRUE(has(second.output(), "another process is there")) << second.output();
  EXPECT_TRUE(has(second.output(), "--set endpoint=ipc://NAME --set control.endpoint=ipc://NAME.control"))
      << second.output();
  expect_still_serving();
}

TEST_F(Taps, WhatOthersCouldReachIsRefusedWithoutKeys) {
  const auto open = folder / "open";
  fs::create_directory(open);
  fs::permissions(open, fs::perms::all);
  const std::vector<std::string> endpoints{"tcp://0.0.0.0:45610", "tcp://*:45610",
                                           "ipc://" + (open / "s").string()};
  for (const auto& endpoint : endpoints) {
    Process refused(arguments("serve.yaml", {"--set", "endpoint=" + endpoint}));
    EXPECT_GT(refused.wait(20s), 0) << endpoint << refused.output();
    EXPECT_TRUE(has(refused.output(), endpoint)) << refused.output();
  }
  EXPECT_TRUE(fs::is_empty(open));
}

// As it stands there, but for the endpoints. It must still be served when the server has shown signs of life:
// a REQ socket hangs up on what is no answer.
TEST_F(Taps, ThePagesExampleRuns) {
  std::ifstream page(PROJECT_DIR "/stages/wire/README.md");
  std::string example;
  for (std::string line; std::getline(page, line);)
    if (has(line, "    import msgpack") || (!example.empty() && (line.empty() || line.starts_with("    "))))
      example += (line.empty() ? line : line.substr(4)) + "\n";
    else if (!example.empty())
      break;
  const auto replace = [&](const std::string& from, const std::string& to) {
    const auto at = example.find(from);
    ASSERT_NE(at, std::string::npos) << example;
    example.replace(at, from.size(), to);
  };
  replace("ipc:///tmp/worldline-1000/serve.control", control);
  replace("ipc:///tmp/worldline-1000/serve", taps);
  example += "import time\ntime.sleep(2.5)\nprint(command(do='leave', session=me['session']))\n";
  std::ofstream(folder / "example.py") << example;
  serve();
  const auto ran = python((folder / "example.py").string(), 30);
  EXPECT_EQ(ran.code, 0) << ran.output << example;
  EXPECT_TRUE(ran.output.starts_with("[24, 24, 3] ")) << ran.output;
  EXPECT_TRUE(has(ran.output, " 1728\n{}\n")) << ran.output;
}

// Slow: `tools/test --all`.
class TapsSlow : public Taps {};

TEST_F(TapsSlow, AMillionHostileMessagesAreAnsweredAndChangeNothing) {
  serve();
  const auto hostile = client("hostile.py " + both + " --messages 1000000", 1200);
  ASSERT_EQ(hostile.code, 0) << hostile.output << server->output();
  std::printf("%s", hostile.output.c_str());
  EXPECT_EQ(hostile.said["player"]["gaps"], 0);
  expect_still_serving();
}

TEST_F(TapsSlow, TenThousandWhoVanishAreFoundOut) {
  serve();
  const auto vanisher = client("vanisher.py " + both + " --times 10000", 1200);
  EXPECT_EQ(vanisher.code, 0) << vanisher.output << server->output();
  std::printf("%s", vanisher.output.c_str());
  expect_still_serving();
}

TEST_F(TapsSlow, AReaderWhoSleepsHoldsNothingUp) {
  auto sleeper = meanwhile("watcher.py " + taps + " frames/0 --count 3 --slow 5");
  Process game(arguments("play.yaml", {"--headless", "--set", "stop.steps=3000"}));
  EXPECT_EQ(game.wait(3min), 0) << game.output();
  EXPECT_TRUE(has(game.output(), "wrote 3000 frames")) << game.output();
  const auto slept = sleeper.get();
  EXPECT_EQ(slept.code, 0) << slept.output;
}

}  // namespace
