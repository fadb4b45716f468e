// act: plays a game of another process, key by key or by a script.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include "stages/play/actions.h"
#include "stages/wire/client.h"
#include "tools/request.h"
#include "tools/stopping.h"
#include "tools/verbs.h"

namespace tools {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string endpoint;
  std::vector<std::string> keys_and_scripts;
  double rate = 30;
  bool join = false;
  stages::ConnectKeys keys;
};

// A key alone is a press of one frame.
std::vector<stages::Hold> holds_of(const std::string& text) {
  const bool counts = std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::isspace(c); });
  return stages::script_of(counts ? text : "1 " + text);
}

// Of an answer, which may be a stranger's.
template <class T>
T part_of(const nlohmann::json& answer, const char* name, const Options& options) {
  try {
    return answer.at(name).get<T>();
  } catch (const nlohmann::json::exception&) {
    throw std::runtime_error("endpoint '" + options.endpoint + "': an answer without '" + name +
                             "'; expected a pipeline's `control`");
  }
}

int act(const Options& options) {
  for (const auto& each : options.keys_and_scripts)
    if (each != "reset") holds_of(each);
  stages::Client client(options.endpoint, options.keys);
  const auto sessions =
      part_of<std::vector<std::int64_t>>(client.ask({{"do", "status"}}), "sessions", options);
  const bool joins = options.join || std::ranges::find(sessions, 0) == sessions.end();
  std::int64_t session = 0;
  if (joins) {
    session = part_of<std::int64_t>(client.ask({{"do", "join"}}), "session", options);
    spdlog::info("playing as session {}; `./run watch … --session {}` shows it", session, session);
  }
  constexpr std::int64_t stay = 1;
  const auto press = [&](std::int64_t action) {
    client.ask({{"do", "act"}, {"session", session}, {"action", action}});
  };
  // Ctrl-C lets go of the key, too.
  std::stop_source stop;
  const Stopping stopping([&] { stop.request_stop(); }, [] { return std::string("playing"); },
                          std::chrono::seconds(10));
  const auto begin = Clock::now();
  std::uint64_t frames = 0;
  const auto hold = [&](const stages::Hold& held) {
    press(held.action);
    frames += held.frames;
    const std::chrono::duration<double> length(static_cast<double>(frames) / options.rate);
    const auto until = begin + std::chrono::duration_cast<Clock::duration>(length);
    for (auto heard = Clock::now(); Clock::now() < until && !stop.stop_requested();) {
      std::this_thread::sleep_until(std::min(until, Clock::now() + std::chrono::milliseconds(100)));
      if (Clock::now() - heard < std::chrono::seconds(1)) continue;
      client.ask({{"do", "status"}});  // a sign of life
      heard = Clock::now();
    }
  };
  for (const auto& each : options.keys_and_scripts) {
    if (stop.stop_requested()) break;
    if (each == "reset")
      client.ask({{"do", "reset"}, {"session", session}});
    else
      for (const auto& held : holds_of(each))
        if (!stop.stop_requested()) hold(held);
  }
  if (frames > 0) press(stay);
  if (joins) client.ask({{"do", "leave"}, {"session", session}});
  return 0;
}

}  // namespace

void add_act(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("act", "play a game of another process: keys, or a script");
  command->footer(
      "  ./run act ipc://play.control up up down           presses of one frame each\n"
      "  ./run act ipc://play.control \"60 up, 30 down\"     holds, in frames\n"
      "  ./run act ipc://play.control reset                a new game\n"
      "Where somebody sits at the machine, it is their game; else, and with --join, a player more comes, "
      "plays and\n"
      "leaves.");
  auto options = std::make_shared<Options>();
  command->add_option("endpoint", options->endpoint, "of its control stage, as ipc://play.control")
      ->required()
      ->check(not_empty);
  command->add_option("keys", options->keys_and_scripts, "stay, up, down, a number, reset, or a script")
      ->required();
  command->add_option("--rate", options->rate, "frames in a second of a script")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 10000.0));
  command->add_flag("--join", options->join, "as a player of its own");
  add_connect_keys(*command, options->keys);
  command->callback([options, &chosen] { chosen = [options] { return act(*options); }; });
}

}  // namespace tools
