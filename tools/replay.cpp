// replay: dreams a recorded game again, and says whether it is the same, bit for bit.
//
// Of the pipeline that dreamed it, the stages between the turns and the frames are kept; the turns come from the
// recording. What a game's frames are depends on its turns from its beginning on, so what was recorded before a game
// begins cannot be compared.
#include <spdlog/spdlog.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "graph/stage_type.h"
#include "graph/value.h"
#include "stages/data/npy.h"
#include "stages/debug/recording.h"
#include "stages/types.h"
#include "stages/whole_file.h"
#include "tools/out.h"
#include "tools/request.h"
#include "tools/run_pipeline.h"
#include "tools/scratch_folder.h"
#include "tools/verbs.h"

namespace tools {
namespace {

namespace fs = std::filesystem;
using graph::Value;
using Json = nlohmann::json;

// --- what was recorded ---------------------------------------------------------------------------------------

// The folder of a game, as game_files writes it.
struct Game {
  explicit Game(const fs::path& folder) : frames(folder / "frames.npy") {
    frames.require_dimensions(4, "[N,H,W,C]");
    const auto path = folder / "game.json";
    std::ifstream stream(path);
    try {
      read(Json::parse(stream));
    } catch (const std::exception& error) {
      throw graph::Error(path.generic_string() +
                         ": not what game_files writes, or not with these frames: " + error.what());
    }
  }

  void read(const Json& json) {
    const auto N = frames.shape()[0];
    graph::require(frames.dtype() == "|u1" && json.at("frames").get<std::int64_t>() == N,
                   "expected as many frames as frames.npy has, in uint8");
    json.at("session").get_to(session);
    const auto& stretches = json.at("numbers");
    for (std::size_t i = 0; i < stretches.size(); ++i) {
      const auto begin = stretches[i].at(0).get<std::int64_t>();
      const auto end = i + 1 < stretches.size() ? stretches[i + 1].at(0).get<std::int64_t>() : N;
      const auto first = stretches[i].at(1).get<std::uint64_t>();
      graph::require(begin == static_cast<std::int64_t>(numbers.size()) && begin < end && end <= N,
                     "its numbers are not in order");
      for (auto k = begin; k < end; ++k) numbers.push_back(first + static_cast<std::uint64_t>(k - begin));
    }
    graph::require(static_cast<std::int64_t>(numbers.size()) == N && std::ranges::is_sorted(numbers),
                   "its numbers are not in order");
    if (const auto edges = json.find("edges"); edges != json.end()) {
      edges->at("frames").get_to(frames_edge);
      edges->at("turns").get_to(turns_edge);
      json.at("missed").at("turns").get_to(missed_turns);
      changed = json.value("changed", changed);
    }
  }

  std::size_t frame_bytes() const {
    std::size_t bytes = 1;
    for (std::size_t i = 1; i < 4; ++i) bytes *= static_cast<std::size_t>(frames.shape()[i]);
    return bytes;
  }
  const std::byte* frame(std::size_t k) const { return frames.data() + k * frame_bytes(); }

  stages::NpyFile frames;
  std::int64_t session = 0;
  std::vector<std::uint64_t> numbers;  // [N], of the turns
  // Of what `run record` recorded.
  std::string frames_edge, turns_edge;
  std::uint64_t missed_turns = 0;
  std::vector<std::string> changed;  // live parameters, meanwhile
};

// The player's turns, by number.
struct Turns {
  Turns(const fs::path& path, std::int64_t session) {
    stages::RecordingReader reader(path);
    while (const auto message = reader.next()) {
      const auto& turn = message->body.as<stages::Turn>();
      if (!is_in(turn, session)) continue;
      numbers.push_back(turn.number);
      const auto begins = std::ranges::find(turn.starts, session, &stages::Start::session);
      if (begins != turn.starts.end() && !start) start = turn.number;
    }
  }

  static bool is_in(const stages::Turn& turn, std::int64_t session) {
    if (turn.players.empty()) return session < turn.action.numel();
    return std::ranges::find(turn.players, session, &stages::Player::session) != turn.players.end();
  }

  std::vector<std::uint64_t> numbers;
  std::optional<std::uint64_t> start;  // of the first game that begins
};

// --- the pipeline that dreams it again -----------------------------------------------------------------------

Value scalar(const std::string& text) {
  Value value;
  value.kind = Value::Kind::scalar;
  value.scalar = text;
  return value;
}

Value map(const std::vector<std::pair<std::string, std::string>>& entries) {
  Value value;
  value.kind = Value::Kind::map;
  for (const auto& [key, text] : entries) value.set(key, scalar(text));
  return value;
}

std::string stage_of(const std::string& edge) { return edge.substr(0, edge.find('.')); }

// Calls visit with every source that a `from:` names.
void for_each_source(Value& from, const std::function<void(std::string&)>& visit) {
  if (from.is_scalar()) return visit(from.scalar);
  if (auto* stage = from.find("stage")) return visit(stage->scalar);
  for (auto& item : from.items) for_each_source(item, visit);
  for (auto& entry : from.entries) for_each_source(entry.value, visit);
}

// What leads to the frames, back to the turns, which a recording stands for.
class Excerpt {
 public:
  Excerpt(const Value& served, std::string turns) : served_(served), turns_(std::move(turns)) {
    stages_.kind = Value::Kind::map;
  }

  void keep(const std::string& name) {
    if (name == turns_ || stages_.find(name)) return;
    const auto* all = served_.find("stages");
    const auto* found = all ? all->find(name) : nullptr;
    if (!found || !found->find("type"))
      throw graph::Error("the recording's pipeline.yaml has no stage '" + name + "'");
    auto stage = *found;
    stages_.set(name, stage);
    auto* from = stage.find("from");
    if (!from)
      throw graph::Error("the frames come from stage '" + name +
                         "' too, of which nothing was recorded; they must follow from the turns alone");
    for_each_source(*from, [&](std::string& source) {
      if (stage_of(source) == turns_) source = turns_;  // a replay has one output, of another name
      keep(stage_of(source));
    });
    stages_.set(name, stage);
  }

  bool has(const std::string& name) const { return stages_.find(name) != nullptr; }

  void add(const std::string& name, Value stage) { stages_.set(name, std::move(stage)); }

  // With what these stages read of the top level. So `plugins:` stays behind: whoever dreamed the game has written it,
  // and what code runs here is for --plugin to say.
  Value whole() const {
    Value pipeline;
    pipeline.kind = Value::Kind::map;
    for (const auto& entry : served_.entries)
      if (std::ranges::any_of(stages_.entries,
                              [&](const auto& stage) { return reads(stage.value, entry.key); }))
        pipeline.set(entry.key, entry.value);
    pipeline.set("stages", stages_);
    return pipeline;
  }

 private:
  static bool reads(const Value& stage, const std::string& key) {
    const auto type = graph::stage_types().find(stage.find("type")->scalar);
    if (type == graph::stage_types().end()) return false;
    const auto& known = type->second;
    return std::ranges::find(known.shared, key) != known.shared.end() ||
           std::ranges::find(known.blocks, key, &graph::BlockUse::block) != known.blocks.end();
  }

  const Value& served_;
  const std::string turns_;
  Value stages_;
};

// --- the verb ------------------------------------------------------------------------------------------------

struct Options {
  fs::path recording, out;
  std::vector<std::string> plugins;
};

graph::Pipeline pipeline_for(const Options& options, const Game& game, const ScratchFolder& scratch,
                             const fs::path& to) {
  const auto source = options.recording / "pipeline.yaml";
  const auto served = graph::read_yaml(source, source.generic_string());
  const auto session = std::to_string(game.session);
  const auto turns = stage_of(game.turns_edge);
  Excerpt excerpt(served, turns);
  excerpt.keep(stage_of(game.frames_edge));
  for (const auto& name : game.changed)
    if (excerpt.has(stage_of(name)))
      throw std::runtime_error(
          options.recording.generic_string() + ": '" + name +
          "' was changed while this was recorded, and when is not known, so the frames cannot "
          "be dreamed again; record again, and leave it as it is meanwhile");
  excerpt.add(turns, map({{"type", "replay"}, {"path", (options.recording / "turns.rec").string()}}));
  excerpt.add("dreamed_again", map({{"type", "game_files"},
                                    {"from", game.frames_edge},
                                    {"folder", to.string()},
                                    {"session", session}}));
  if (is_video(options.out))
    excerpt.add("film", map({{"type", "video_file"},
                             {"from", game.frames_edge},
                             {"path", options.out.string()},
                             {"session", session}}));
  const auto file = scratch / "pipeline.yaml";
  stages::write_whole(file, graph::to_yaml(excerpt.whole()));
  return graph::load({.file = file});
}

int fail(const std::string& text) {
  spdlog::error(text);
  return 1;
}

int compare(const Game& recorded, const Game& dreamed, const Turns& turns) {
  if (recorded.frame_bytes() != dreamed.frame_bytes())
    return fail("the frames that were dreamed again have another size");
  std::size_t same = 0, before = 0, after = 0;
  for (std::size_t k = 0; k < recorded.numbers.size(); ++k) {
    const auto number = recorded.numbers[k];
    before += number < *turns.start;
    after += number > turns.numbers.back();
    if (number < *turns.start || number > turns.numbers.back()) continue;
    const auto at = std::ranges::lower_bound(dreamed.numbers, number);
    if (at == dreamed.numbers.end() || *at != number)
      return fail(fmt::format("stopped before frame {}, after {} that are the same", k, same));
    const auto* was = recorded.frame(k);
    const auto* is = dreamed.frame(static_cast<std::size_t>(at - dreamed.numbers.begin()));
    if (std::memcmp(was, is, recorded.frame_bytes()) != 0)
      return fail(fmt::format(
          "frame {} differs (number {}), after {} that are the same; it comes out the same only with the "
          "same weights, build and kind of machine, and where no live parameter was changed meanwhile",
          k, number, same));
    ++same;
  }
  if (before > 0)
    spdlog::info("the first {} frames are of a game that had begun before: not compared", before);
  if (after > 0) spdlog::info("the turns of the last {} frames were not recorded: not compared", after);
  if (same == 0) return fail("there is no frame to compare");
  spdlog::info("{} frames dreamed again, the same bit for bit", same);
  return 0;
}

int replay(const Options& options) {
  load_plugins(options.plugins);
  const auto& folder = options.recording;
  for (const auto* name : {"frames.npy", "game.json", "turns.rec", "pipeline.yaml"})
    if (!fs::exists(folder / name))
      throw graph::Error(folder.generic_string() + " has no " + name +
                         "; expected a folder that `./run record ENDPOINT FOLDER` has written");
  if (!options.out.empty()) refuse_existing(options.out);
  const Game game(folder);
  if (game.frames_edge.empty())
    throw graph::Error((folder / "game.json").generic_string() +
                       " names no edges; expected what `./run record ENDPOINT FOLDER` has written");
  const Turns turns(folder / "turns.rec", game.session);
  if (game.missed_turns > 0)
    return fail(fmt::format(
        "the turns of {} frames are missing in the recording, and the frames after them cannot be "
        "dreamed without them; record again",
        game.missed_turns));
  if (!turns.start)
    return fail(
        "the recording begins in the middle of a game, and the frames before it are not known; begin to "
        "record before the game begins, or reset it (key r, command `reset`) while it is recorded");
  for (std::size_t k = 0; k < game.numbers.size(); ++k)
    if (const auto number = game.numbers[k]; number >= *turns.start && number < turns.numbers.back() &&
                                             !std::ranges::binary_search(turns.numbers, number))
      return fail(
          fmt::format("the turn of frame {} (number {}) is missing in the recording, and the frames after it "
                      "cannot be dreamed without it; record again",
                      k, number));

  const ScratchFolder scratch;
  const bool keeps = !options.out.empty() && !is_video(options.out);
  const auto to = keeps ? options.out : scratch / "game";
  const auto pipeline = pipeline_for(options, game, scratch, to);
  if (run_pipeline(pipeline, {}).code != 0) return 1;
  if (!fs::exists(to / "frames.npy")) return fail("stopped before the first frame");
  return compare(game, Game(to), turns);
}

}  // namespace

void add_replay(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("replay", "dream a recorded game again, and compare it bit for bit");
  auto options = std::make_shared<Options>();
  command->add_option("recording", options->recording, "a folder that `record` has written")
      ->required()
      ->check(CLI::ExistingDirectory);
  command
      ->add_option("--out", options->out,
                   "keep what is dreamed: *.mp4, *.mkv, or else a folder; must not exist")
      ->check(not_empty);
  add_plugins(*command, options->plugins);
  command->callback([options, &chosen] { chosen = [options] { return replay(*options); }; });
}

}  // namespace tools
