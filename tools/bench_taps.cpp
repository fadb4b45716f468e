// bench_taps: readers are processes of their own, so this one's CPU time is the pipeline's alone.
//
// The machine is not quiet, so every stretch with readers is compared with the mean of the stretches without any just
// before and after it, in one run of one game; the kinds of readers take turns in random order. One of the kinds is
// nobody, which shows how far figures stray by themselves.
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "graph/error.h"
#include "stages/types.h"
#include "stages/wire/client.h"
#include "stages/wire/message.h"
#include "stages/wire/subscription.h"
#include "tools/bench_game.h"
#include "tools/bench_training.h"
#include "tools/benches.h"
#include "tools/figures.h"
#include "tools/run_pipeline.h"

namespace tools {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;
using namespace std::chrono_literals;

constexpr int rounds = 20, acts = 150;
constexpr auto stretch_length = 300ms, settling = 50ms, patience = 10'000ms;
constexpr double rate = 30;                     // of the clock, where latency is measured
constexpr std::string_view topic = "frames/0";  // of who sits at the machine

std::string message_prefix() { return std::string(topic) + '\0'; }

// --- readers ---------------------------------------------------------------------------------------------------

constexpr char come = '+', go = '-';  // what a reader is told, and answers when it is done

/// Another process, forked, that reads the frames when it is told to.
class Reader {
 public:
  explicit Reader(const std::string& endpoint) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
      throw graph::Error(std::string("cannot start a reader: ") + std::strerror(errno));
    pid_ = ::fork();
    if (pid_ < 0) throw graph::Error(std::string("cannot start a reader: ") + std::strerror(errno));
    if (pid_ == 0) read(ends[1], endpoint);
    ::close(ends[1]);
    wire_ = ends[0];
  }
  ~Reader() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(wire_);
  }
  Reader(const Reader&) = delete;

  void tell(char command) const { ::send(wire_, &command, 1, MSG_NOSIGNAL); }
  /// It has heard its first frame, or is gone.
  void wait() const {
    pollfd ready{wire_, POLLIN, 0};
    char answer = 0;
    if (::poll(&ready, 1, static_cast<int>(patience.count())) != 1 || ::recv(wire_, &answer, 1, 0) != 1)
      throw graph::Error("a reader of the tap heard nothing in 10 s");
  }
  void freeze() const {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }
  void thaw() const { ::kill(pid_, SIGCONT); }

 private:
  [[noreturn]] static void read(int wire, const std::string& endpoint) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      std::unique_ptr<stages::Subscription> tap;
      bool heard = false;
      while (true) {
        char command = 0;
        if (::recv(wire, &command, 1, tap ? MSG_DONTWAIT : 0) == 0) break;
        if (command == come) {
          tap = stages::subscribe_to(endpoint, {message_prefix()}, {});
          heard = false;
        }
        if (command == go) {
          tap.reset();
          ::send(wire, &go, 1, MSG_NOSIGNAL);
        }
        if (tap && tap->next({}, 20ms) && !std::exchange(heard, true)) ::send(wire, &come, 1, MSG_NOSIGNAL);
      }
    } catch (...) {
      // Who waits for this reader says that it is missing.
    }
    ::_exit(1);
  }

  pid_t pid_ = -1;
  int wire_ = -1;
};

struct Condition {
  std::string name, shown;
  std::size_t readers = 0;
  bool frozen = false;                       // they never read
  std::vector<double> cpu = {}, speed = {};  // times as much as without readers
};

class Audience {
 public:
  Audience(const std::string& endpoint, std::size_t readers) {
    for (std::size_t i = 0; i < readers; ++i) readers_.emplace_back(endpoint);
  }

  void enter(const Condition& condition, stages::Publisher& publisher) const {
    tell(condition, come);
    if (condition.frozen) {
      for (std::size_t i = 0; i < condition.readers; ++i) readers_[i].freeze();
      fill_queues(publisher);
    }
    std::this_thread::sleep_for(settling);
  }

  void leave(const Condition& condition, const stages::Publisher& publisher) const {
    if (condition.frozen)
      for (std::size_t i = 0; i < condition.readers; ++i) readers_[i].thaw();
    tell(condition, go);
    const auto deadline = Clock::now() + patience;
    while (publisher.is_heard(topic)) {
      if (Clock::now() > deadline)
        throw graph::Error("the readers are gone, but the tap has not noticed in 10 s");
      std::this_thread::sleep_for(1ms);
    }
    std::this_thread::sleep_for(settling);
  }

 private:
  void tell(const Condition& condition, char command) const {
    for (std::size_t i = 0; i < condition.readers; ++i) readers_[i].tell(command);
    for (std::size_t i = 0; i < condition.readers; ++i) readers_[i].wait();
  }

  // As if nobody had read for long: the queues on the way hold a few hundred messages together, and when they are
  // full, what comes is dropped.
  static void fill_queues(stages::Publisher& publisher) {
    const auto filler = message_prefix() + std::string(2000, '\0');
    for (int burst = 0; burst < 8; ++burst) {
      for (int i = 0; i < 200; ++i) publisher.send(filler);
      std::this_thread::sleep_for(5ms);
    }
  }

  std::deque<Reader> readers_;
};

// --- what readers cost -----------------------------------------------------------------------------------------

struct Pace {
  double frames_per_second = 0, cpu_ms_per_frame = 0;
};

Pace measure(BenchGame& game) {
  const auto begin = game.run().next();
  std::this_thread::sleep_for(stretch_length);
  const auto end = game.run().next();
  const auto frames = static_cast<double>(end.messages - begin.messages);
  return {frames / (end.seconds - begin.seconds), 1000 * (end.cpu_seconds - begin.cpu_seconds) / frames};
}

Json spread(const std::vector<double>& ratios) {
  return Json{
      {"median", quantile(ratios, 0.5)}, {"q1", quantile(ratios, 0.25)}, {"q3", quantile(ratios, 0.75)}};
}

Json readers(const model::Config& network) {
  std::vector<Condition> conditions{{"off", "nobody, again"},
                                    {"one", "one reader", 1},
                                    {"ten", "ten readers", 10},
                                    {"stuck", "one that never reads", 1, true}};
  const ScratchFolder folder;
  const GameSetup setup{.model = network,
                        .taps = folder.ipc("taps"),
                        .control = folder.ipc("control"),
                        .overrides = {"local=true", "clock.realtime=false", "denoise.steps=4"}};
  // Forked before the game, while nothing of ours is at work on another thread.
  const Audience audience(setup.taps, 10);
  BenchGame game(setup);
  game.run().next();
  std::this_thread::sleep_for(1s);

  std::mt19937 random(1);
  std::vector<double> speeds, cpus;
  auto before = measure(game);
  for (int round = 0; round < rounds; ++round) {
    if (round % 5 == 0) std::fprintf(stderr, "taps: round %d of %d\n", round + 1, rounds);
    std::vector<Condition*> order;
    for (auto& condition : conditions) order.push_back(&condition);
    std::ranges::shuffle(order, random);
    for (auto* condition : order) {
      audience.enter(*condition, game.taps());
      const auto with = measure(game);
      audience.leave(*condition, game.taps());
      const auto after = measure(game);
      condition->speed.push_back(2 * with.frames_per_second /
                                 (before.frames_per_second + after.frames_per_second));
      condition->cpu.push_back(2 * with.cpu_ms_per_frame /
                               (before.cpu_ms_per_frame + after.cpu_ms_per_frame));
      speeds.push_back(after.frames_per_second);
      cpus.push_back(after.cpu_ms_per_frame);
      before = after;
    }
  }

  Json figures;
  figures["frames_per_second"] = quantile(speeds, 0.5);
  figures["cpu_ms_per_frame"] = quantile(cpus, 0.5);
  std::printf(
      "\ntaps: a game of configs/cpu-small's model, random weights, at full speed; %d rounds of %lld ms\n",
      rounds, static_cast<long long>(stretch_length.count()));
  std::printf("without readers: %.1f frames/s, %.3f ms of CPU time a frame; with readers, times as much:\n\n",
              quantile(speeds, 0.5), quantile(cpus, 0.5));
  std::printf("%-22s %26s %29s\n", "", "CPU time a frame", "frames/s");
  std::printf("%-22s %8s %8s %8s  %10s %8s %8s\n", "", "q1", "median", "q3", "q1", "median", "q3");
  for (const auto& condition : conditions) {
    std::printf("%-22s %8.3f %8.3f %8.3f  %10.3f %8.3f %8.3f\n", condition.shown.c_str(),
                quantile(condition.cpu, 0.25), quantile(condition.cpu, 0.5), quantile(condition.cpu, 0.75),
                quantile(condition.speed, 0.25), quantile(condition.speed, 0.5),
                quantile(condition.speed, 0.75));
    auto& figure = figures[condition.name];
    figure["cpu_per_frame_ratio"] = spread(condition.cpu);
    figure["frames_per_second_ratio"] = spread(condition.speed);
  }
  std::printf(
      "\nCPU time is that of the pipeline's process alone, and the figure to look at. Readers are processes\n"
      "that run beside it on the same %u cores, so frames/s also show what they themselves need.\n",
      std::thread::hardware_concurrency());
  std::fflush(stdout);
  return figures;
}

// --- from an act to its frame ----------------------------------------------------------------------------------

struct Dreamed {
  double seconds = 0;
  std::uint64_t frames = 0;
};

Dreamed dreamed(BenchGame& game) {
  const auto telemetry = game.run().telemetry();
  for (const auto& stage : telemetry.stages)
    if (stage.name == "denoise") return {stage.busy_seconds, stage.messages};
  return {};
}

Json latency(const model::Config& network, const std::string& name, const std::string& taps,
             const std::string& control) {
  std::fprintf(stderr, "taps: %d acts over %s\n", acts, name.c_str());
  const GameSetup setup{.model = network,
                        .taps = taps,
                        .control = control,
                        .overrides = {"local=true", "denoise.steps=4", "clock.realtime=true",
                                      "clock.rate=" + std::to_string(rate)}};
  BenchGame game(setup);
  stages::Client client(game.control(), {});
  const auto tap = stages::subscribe_to(game.taps().endpoint(), {message_prefix()}, {});
  struct Seen {
    Clock::time_point when;
    std::int64_t act = 0;
  };
  const auto next = [&]() -> Seen {
    const auto bytes = tap->next({}, patience);
    if (!bytes) throw graph::Error("the tap sent nothing in 10 s");
    const auto now = Clock::now();
    const auto message = stages::decode(*bytes);
    const auto noun = stages::unpack(message.noun.type, message.noun.fields, message.noun.payload);
    return {now, noun.as<stages::View>().act};
  };

  std::mt19937 random(1);
  // More than two ticks wide, so that acts fall anywhere between two.
  std::uniform_int_distribution<int> pause(10, 80);
  std::vector<double> ms, frame_ms;
  auto act = next().act;
  for (int i = 0; i < acts; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(pause(random)));
    const auto before = dreamed(game);
    const auto sent = Clock::now();
    client.ask({{"do", "act"}, {"session", 0}, {"action", i % 2 == 0 ? "up" : "down"}});
    // Nobody else acts, so another number than the last one's is this one's.
    auto seen = next();
    while (seen.act == act) seen = next();
    act = seen.act;
    ms.push_back(std::chrono::duration<double, std::milli>(seen.when - sent).count());
    const auto after = dreamed(game);
    if (after.frames > before.frames)
      frame_ms.push_back(1000 * (after.seconds - before.seconds) /
                         static_cast<double>(after.frames - before.frames));
  }
  // The act waits for a tick at most, its frame is dreamed, and 5 ms are for all else.
  const auto frame = frame_ms.empty() ? 0 : quantile(frame_ms, 0.5);
  const auto bound = 1000 / rate + frame + 5;
  const auto p50 = quantile(ms, 0.5), p99 = quantile(ms, 0.99), most = quantile(ms, 1);
  std::printf("%-22s %8.1f %8.1f %8.1f %8.1f %17.1f\n", name.c_str(), p50, p99, most, bound, frame);
  std::fflush(stdout);
  return Json{{"p50", p50}, {"p99", p99}, {"max", most}, {"bound", bound}, {"frame", frame}};
}

}  // namespace

Json bench_taps(const BenchSetup&) {
  const auto network = trained_model(project_file("configs/cpu-small.yaml"));
  auto figures = readers(network);
  std::printf("\nms from an act to its frame, %d acts at random times, clock.rate %.0f\n", acts, rate);
  std::printf("%-22s %8s %8s %8s %8s %17s\n", "", "p50", "p99", "max", "bound", "of it the frame");
  const ScratchFolder folder;
  auto& both = figures["latency_ms"];
  both["ipc"] = latency(network, "ipc", folder.ipc("taps"), folder.ipc("control"));
  both["tcp"] = latency(network, "tcp", "tcp://127.0.0.1:0", "tcp://127.0.0.1:0");
  std::printf("bound: one tick of %.1f ms, the median time in which a frame is dreamed, and 5 ms\n",
              1000 / rate);
  return figures;
}

}  // namespace tools
