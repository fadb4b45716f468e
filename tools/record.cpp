// record: writes a game that another process plays into a folder that can be trained from and dreamed again, or into
// a video.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "stages/whole_file.h"
#include "stages/wire/message.h"
#include "stages/wire/subscription.h"
#include "tools/out.h"
#include "tools/request.h"
#include "tools/run_pipeline.h"
#include "tools/verbs.h"

namespace tools {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Options {
  std::string endpoint;
  fs::path out;
  std::int64_t session = -1, frames = 0;
  bool allow_gaps = false;
  stages::ConnectKeys keys;
};

std::string edge_of(const stages::Hello& hello, const std::string& topic, const std::string& endpoint) {
  std::vector<std::string> topics;
  for (const auto& tap : hello.taps) {
    if (tap.topic == topic) return tap.edge;
    topics.push_back(stages::plain(tap.topic));
  }
  throw graph::Error(endpoint + " has no tap '" + topic + "', which a recording is made of (it has " +
                     graph::join(topics) + "); add {edge: …, topic: " + topic +
                     "} to the `taps:` of its pipeline");
}

// Frames a second of the game; 30 where nothing says so.
double rate_of(const std::string& pipeline) {
  const auto value = graph::parse_yaml(pipeline, "the pipeline at the endpoint");
  const auto* stages = value.find("stages");
  if (!stages) return 30;
  for (const auto& stage : stages->entries) {
    const auto* type = stage.value.find("type");
    const auto* rate = stage.value.find("rate");
    if (type && rate && type->scalar == "clock")
      return std::clamp(std::atof(rate->scalar.c_str()), 1.0, 1000.0);
  }
  return 30;
}

graph::Pipeline load(const Options& options, double rate) {
  const bool video = is_video(options.out);
  graph::Request request{.file =
                             project_file(video ? "pipelines/record_video.yaml" : "pipelines/record.yaml")};
  // JSON's quoted text is YAML's too.
  const auto set = [&](const std::string& key, const Json& value) {
    request.overrides.push_back(key + "=" + value.dump());
  };
  set("endpoint", options.endpoint);
  if (!options.keys.key.empty()) {
    set("key", options.keys.key);
    set("server", options.keys.server);
  }
  set("frames.session", options.session);
  set(video ? "game.path" : "game.folder", options.out.string());
  set("game.frames", options.frames);
  if (video) set("game.rate", rate);
  return graph::load(request);
}

graph::StageCounts counts_of(const graph::Telemetry& telemetry, const std::string& stage) {
  const auto found = std::ranges::find(telemetry.stages, stage, &graph::StageCounts::name);
  return found == telemetry.stages.end() ? graph::StageCounts{} : *found;
}

// The live parameters that are not as in `text` any more, by what was said since then.
std::set<std::string> changes_since(const std::string& text, stages::Subscription& hellos) {
  using Clock = std::chrono::steady_clock;
  const auto stages_in = [](const std::string& yaml) {
    const auto value = graph::parse_yaml(yaml, "the pipeline at the endpoint");
    const auto* stages = value.find("stages");
    return stages ? *stages : graph::Value{};
  };
  const auto before = stages_in(text);
  std::set<std::string> changed;
  // The last of them may be on its way.
  const auto until = Clock::now() + std::chrono::milliseconds(500);
  for (auto now = Clock::now(); now < until; now = Clock::now()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
    const auto hello = stages::next_hello(hellos, left);
    if (!hello) break;
    const auto after = stages_in(stages::pipeline_of(*hello));
    for (const auto& stage : after.entries)
      for (const auto& parameter : stage.value.entries) {
        const auto* old_stage = before.find(stage.key);
        const auto* old = old_stage ? old_stage->find(parameter.key) : nullptr;
        if (old && old->scalar != parameter.value.scalar)
          changed.insert(stages::plain(stage.key + "." + parameter.key));
      }
  }
  return changed;
}

// What game_files cannot know.
void add_to_game(const fs::path& file, const Json& more) {
  std::ifstream stream(file);
  auto game = Json::parse(stream);
  game.update(more);
  stages::write_whole(file, game.dump() + "\n");
}

// Of a recording that came to nothing.
void clear(const fs::path& folder) {
  std::error_code ignored;
  for (const auto* name : {"pipeline.yaml", "turns.rec.part"}) fs::remove(folder / name, ignored);
  fs::remove(folder, ignored);  // unless somebody else has put something there
}

int record(const Options& options) {
  const bool video = is_video(options.out);
  const auto out = options.out.generic_string();
  refuse_existing(options.out);
  const auto hellos = stages::subscribe_to_hello(options.endpoint, options.keys);
  const auto hello = stages::next_hello(*hellos, std::chrono::seconds(5));
  if (!hello) {
    spdlog::error(
        "nobody answers at {}: expected a pipeline that runs, with taps there, as ./run pipelines/serve.yaml "
        "has, "
        "and --key and --server where it asks for keys",
        options.endpoint);
    return 1;
  }
  const auto frames_edge = edge_of(*hello, "frames", options.endpoint);
  const auto turns_edge = video ? "" : edge_of(*hello, "turns", options.endpoint);
  const auto pipeline = load(options, rate_of(stages::pipeline_of(*hello)));
  if (!video) {
    fs::create_directories(options.out);
    auto served = graph::parse_yaml(stages::pipeline_of(*hello), "the pipeline at the endpoint");
    served.erase("plugins");  // another process has no say in what code runs here
    stages::write_whole(options.out / "pipeline.yaml",
                        "# The pipeline that dreamed this game; `./run replay` takes it from here.\n" +
                            graph::to_yaml(served));
  }
  graph::RunOptions run_options;
  run_options.quiet = std::chrono::hours(24);  // to wait for a player is no standstill
  spdlog::info("recording the game at {} to {}; Ctrl-C ends it", options.endpoint, out);
  // Without a run folder: all that is written goes to OUT.
  const auto ran = run_pipeline(pipeline, run_options);

  auto frames = static_cast<std::int64_t>(counts_of(ran.telemetry, "game").messages);
  if (options.frames > 0) frames = std::min(frames, options.frames);
  if (!fs::exists(video ? options.out : options.out / "frames.npy")) {
    if (!video) clear(options.out);
    if (ran.code == 0) spdlog::error("nothing was recorded: no frame came from {}", options.endpoint);
    return 1;
  }
  const auto missed = counts_of(ran.telemetry, "frames").tombstones;
  const auto missed_turns = counts_of(ran.telemetry, "turns").tombstones;
  if (!video) {
    const auto changed = changes_since(stages::pipeline_of(*hello), *hellos);
    if (!changed.empty())
      spdlog::warn("changed meanwhile: {}; `./run replay` dreams no game again whose frames depend on it",
                   fmt::join(changed, ", "));
    const Json more{{"missed", {{"frames", missed}, {"turns", missed_turns}}},
                    {"changed", changed},
                    {"edges", {{"frames", frames_edge}, {"turns", turns_edge}}}};
    add_to_game(options.out / "game.json", more);
  }
  spdlog::info("{} frames to {}, {} missed", frames, out, missed);
  if (missed_turns > 0)
    spdlog::warn("the turns of {} frames were missed too, so this game cannot be dreamed again",
                 missed_turns);
  return ran.code != 0 || (missed + missed_turns > 0 && !options.allow_gaps) ? 1 : 0;
}

}  // namespace

void add_record(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("record", "write a game that another process plays to files or a video");
  auto options = std::make_shared<Options>();
  command->add_option("endpoint", options->endpoint, "of its taps, as ipc://serve")->required();
  command->add_option("out", options->out, "*.mp4, *.mkv (without loss), or else a folder; must not exist")
      ->required()
      ->check(not_empty);
  command->add_option("--session", options->session, "of the player; else the first that is heard")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--frames", options->frames, "after which it ends; else with the game, or Ctrl-C")
      ->check(CLI::PositiveNumber);
  command->add_flag("--allow-gaps", options->allow_gaps, "exit with 0 even when frames were missed");
  add_connect_keys(*command, options->keys);
  command->callback([options, &chosen] { chosen = [options] { return record(*options); }; });
}

}  // namespace tools
