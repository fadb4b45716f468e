// tap: prints what flows along an edge of another process, or how fast.
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "graph/error.h"
#include "stages/wire/message.h"
#include "stages/wire/subscription.h"
#include "tools/request.h"
#include "tools/stopping.h"
#include "tools/verbs.h"

namespace tools {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string endpoint, topic;
  bool hz = false;
  std::uint64_t count = 0;
  stages::ConnectKeys keys;
};

// Fit for a terminal, whatever it is.
std::string shown(const Json& value) { return value.dump(-1, ' ', true, Json::error_handler_t::replace); }

int list(const Options& options) {
  const auto hello = stages::hello_of(options.endpoint, options.keys, std::chrono::seconds(5));
  if (!hello)
    throw std::runtime_error(
        "nobody answers at " + options.endpoint +
        "; expected a pipeline that runs, with taps there (and keys, where it asks for them)");
  for (const auto& tap : hello->taps)
    std::printf("%-20s %s\n", shown(tap.topic).c_str(), shown(tap.edge).c_str());
  return 0;
}

stages::WireMessage decoded(const std::string& bytes, const std::string& endpoint) {
  try {
    return stages::decode(bytes);
  } catch (const graph::Error& error) {
    throw std::runtime_error("endpoint '" + endpoint + "': what comes from there is " + error.what());
  }
}

// Of one topic, since the last line.
struct Flow {
  std::uint64_t messages = 0, bytes = 0, missed = 0, next = 0;
  std::string run;
};

class Printer {
 public:
  explicit Printer(bool hz) : hz_(hz) {}

  void take(const stages::WireMessage& message, std::size_t bytes) {
    auto& flow = flows_[message.topic];
    const bool follows = flow.run == message.run_id && message.seq >= flow.next;
    if (follows && flow.next > 0) flow.missed += message.seq - flow.next;
    flow.run = message.run_id;
    flow.next = message.seq + 1;
    ++flow.messages;
    flow.bytes += bytes;
    if (hz_) return;
    const auto fields = Json::from_msgpack(message.noun.fields, true, false);
    std::printf("%s %llu %s %s %zu bytes%s\n", shown(message.topic).c_str(),
                static_cast<unsigned long long>(message.seq), shown(message.noun.type).c_str(),
                shown(fields).c_str(), message.noun.payload.size(),
                message.encoding == "raw" ? "" : (" of " + shown(message.encoding)).c_str());
    std::fflush(stdout);
  }

  void say_rates() {
    const auto now = Clock::now();
    const auto seconds = std::chrono::duration<double>(now - since_).count();
    if (!hz_ || seconds < 1) return;
    for (auto& [topic, flow] : flows_) {
      std::printf("%s %.1f Hz  %.1f kB/s  %llu missed\n", shown(topic).c_str(),
                  static_cast<double>(flow.messages) / seconds,
                  static_cast<double>(flow.bytes) / seconds / 1000,
                  static_cast<unsigned long long>(flow.missed));
      flow.messages = flow.bytes = 0;
    }
    if (flows_.empty()) std::printf("nothing came\n");
    std::fflush(stdout);
    since_ = now;
  }

 private:
  const bool hz_;
  std::map<std::string, Flow> flows_;
  Clock::time_point since_ = Clock::now();
};

int tap(const Options& options) {
  if (options.topic.empty()) return list(options);
  const auto subscription =
      stages::subscribe_to(options.endpoint, {options.topic + '\0', options.topic + "/"}, options.keys);
  std::stop_source stop;
  const Stopping stopping([&] { stop.request_stop(); }, [] { return std::string("printing"); },
                          std::chrono::seconds(10));
  Printer printer(options.hz);
  bool ended = false;
  auto said = Clock::now();
  for (std::uint64_t taken = 0; !stop.stop_requested() && (options.count == 0 || taken < options.count);) {
    const auto bytes = subscription->next(stop.get_token(), std::chrono::milliseconds(200));
    printer.say_rates();
    if (bytes) {
      const auto message = decoded(*bytes, options.endpoint);
      printer.take(message, bytes->size());
      ended |= message.noun.type == "End" && message.topic == options.topic;
      ++taken;
    } else if (const auto why = subscription->lost()) {
      if (ended) return 0;
      throw std::runtime_error(*why);
    } else if (taken == 0 && !options.hz && Clock::now() - said > std::chrono::seconds(3)) {
      spdlog::info("nothing comes from '{}' at {} so far", options.topic, options.endpoint);
      said = Clock::now();
    }
  }
  return 0;
}

}  // namespace

void add_tap(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("tap", "print what flows along an edge of another process");
  auto options = std::make_shared<Options>();
  command->add_option("endpoint", options->endpoint, "of its taps, as ipc://play")
      ->required()
      ->check(not_empty);
  command->add_option("topic", options->topic, "of the tap; without one, the taps are listed");
  command->add_flag("--hz", options->hz, "print how many come in a second, and how many were missed");
  command->add_option("--count", options->count,
                      "messages after which it ends; else with the pipeline, or Ctrl-C");
  add_connect_keys(*command, options->keys);
  command->callback([options, &chosen] { chosen = [options] { return tap(*options); }; });
}

}  // namespace tools
