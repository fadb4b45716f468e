// game_files: writes one player's game as a dataset, and with it what it takes to dream it again.
//
//   frames.npy    [N,H,W,C] uint8
//   actions.npy   [N] int64: 0 stay, 1 up, 2 down; action k leads to frame k+1, the last, a 0, to none
//   turns.rec     all players' turns up to the last frame, where `turns` is connected
//   game.json     {"session", "frames": N, "numbers": [[k, n], …], "games": [k, …]}: from frame k on the numbers of
//                 the turns count up from n; with frame k a game begins
//
// The files have their names only when all are whole, and frames.npy gets its name last. Whatever stops the run, be it
// that another stage fails, a game up to there is a game; only what fails here leaves none.
#include <spdlog/spdlog.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "graph/stage.h"
#include "stages/data/npy.h"
#include "stages/debug/recording.h"
#include "stages/play/rows.h"
#include "stages/types.h"
#include "stages/whole_file.h"

namespace stages {
namespace {

namespace fs = std::filesystem;

struct GameFiles {
  struct Params {
    std::string folder;
    std::int64_t session = -1, frames = 0;
  };
  using Clock = std::chrono::steady_clock;

  struct Arrays {
    explicit Arrays(const fs::path& folder)
        : frames(folder / "frames.npy", "|u1"), actions(folder / "actions.npy", "<i8") {}
    NpyWriter frames, actions;
  };
  // Frames whose numbers follow one another, from `frame` on.
  struct Stretch {
    std::int64_t frame;
    std::uint64_t number;
  };

  void start(const graph::Context& context) {
    graph::require(context.run != nullptr, "game_files needs a run");
    folder = params.folder.empty() ? context.run->folder() : fs::path(params.folder);
    std::error_code error;
    fs::create_directories(folder, error);
    if (error)
      throw graph::Error("cannot make the folder " + folder.generic_string() + ": " + error.message());
    for (const auto* name : {"frames.npy", "actions.npy", "turns.rec", "game.json"})
      if (fs::exists(folder / name, error))
        throw graph::Error((folder / name).generic_string() + " exists; choose another folder, or remove it");
    arrays.emplace(folder);
    if (params.session >= 0) session = params.session;
  }

  void operator()(const Frame& frame, const std::vector<Turn>& turns, const graph::Context& context) {
    waiting.insert(waiting.end(), turns.begin(), turns.end());
    if (!session && frame.pixels.size(0) > 0) session = only_session(frame);
    if (!session) return;
    const auto mine = of_session(frame, *session);
    if (mine && !is_full()) add(*mine);
    add_turns(context);
    if (is_full()) context.stop();
  }

  void finish(const graph::Context& context) {
    // The last frame may have been faster than its turn.
    for (const auto& turn : context.left) waiting.push_back(turn.as<Turn>());
    if (frames > 0) add_turns(context);
    if (frames == 0) {
      arrays.reset();
      spdlog::warn("{}: no game is left, for no frame came", context.stage);
      return;
    }
    append_action(0);
    shape.insert(shape.begin(), frames);
    arrays->frames.flush(shape);
    arrays->actions.flush({frames});
    if (recording) {
      Totals totals{.messages = recorded};
      for (const auto& edge : turn_edges(context)) {
        totals.arrived += edge.counts.arrived;
        totals.dropped += edge.counts.dropped;
      }
      recording->end(totals);
    }
    write_whole(folder / "game.json", description());
    arrays->actions.publish();
    arrays->frames.publish();
    flush_folder(folder);
    spdlog::info("game of {} frames in {}", frames, folder.generic_string());
  }

  bool is_full() const { return params.frames > 0 && frames == params.frames; }

  static std::int64_t only_session(const Frame& frame) {
    const auto all = sessions_of(frame);
    if (all.size() == 1) return all[0];
    throw graph::Error(fmt::format("session: {} players are in the frame, sessions {}; choose one of them",
                                   all.size(), fmt::join(all, ", ")));
  }

  void add(const Frame& frame) {
    const auto pixels = frame.pixels[0].contiguous();  // [1,H,W,C] → [H,W,C]
    const auto action = frame.action[0].item<std::int64_t>();
    if (shape.empty()) shape = pixels.sizes().vec();
    graph::require(pixels.scalar_type() == at::kByte && pixels.dim() == 3 && pixels.sizes().equals(shape),
                   "every frame must be uint8 [S,H,W,C], with the same H, W and C");
    if (action < 1)
      throw graph::Error(
          fmt::format("frame {} answers to action {}, none, for which a dataset has no number; "
                      "play without it, or write a video",
                      frames, action));
    if (frames > 0) append_action(action - 1);
    arrays->frames.append(pixels.data_ptr(), pixels.nbytes());
    if (frames == 0 || frame.number != last + 1) stretches.push_back({frames, frame.number});
    last = frame.number;
    ++frames;
  }

  void append_action(std::int64_t action) { arrays->actions.append(&action, sizeof action); }

  // A turn comes before its frame, but two connections may bring them the other way round.
  void add_turns(const graph::Context& context) {
    for (; frames > 0 && !waiting.empty() && waiting.front().number <= last; waiting.pop_front()) {
      const auto& turn = waiting.front();
      const auto now = Clock::now();
      if (!recording) begin_recording(now, context);
      const auto since = std::chrono::nanoseconds(now - begun).count();
      recording->add(turn.number, static_cast<std::uint64_t>(since), pack(graph::Any::of(turn)));
      ++recorded;
      for (const auto& each : turn.starts) {
        const auto frame = frame_at(turn.number);
        if (each.session == *session && (games.empty() || games.back() < frame)) games.push_back(frame);
      }
    }
  }

  void begin_recording(Clock::time_point now, const graph::Context& context) {
    begun = now;
    recording.emplace(folder / "turns.rec");
    const auto edges = turn_edges(context);
    recording->begin({"Turn", context.stage, edges.empty() ? "" : edges[0].from, context.run->pipeline()});
  }

  static std::vector<graph::EdgeReport> turn_edges(const graph::Context& context) {
    auto edges = context.run->edges_into(context.stage);
    std::erase_if(edges, [](const auto& edge) { return !edge.to.ends_with(".turns"); });
    return edges;
  }

  // The first frame with this number or a later one, which there is.
  std::int64_t frame_at(std::uint64_t number) const {
    const auto next = std::ranges::upper_bound(stretches, number, {}, &Stretch::number);
    if (next == stretches.begin()) return 0;
    const auto& stretch = *std::prev(next);
    const auto end = next == stretches.end() ? frames : next->frame;
    return std::min(stretch.frame + static_cast<std::int64_t>(number - stretch.number), end);
  }

  std::string description() const {
    nlohmann::ordered_json game{{"session", *session}, {"frames", frames}};
    game["numbers"] = nlohmann::ordered_json::array();
    for (const auto& each : stretches)
      game["numbers"].push_back(nlohmann::ordered_json::array({each.frame, each.number}));
    game["games"] = games;
    return game.dump() + "\n";
  }

  Params params;
  fs::path folder;
  std::optional<Arrays> arrays;
  std::optional<RecordingWriter> recording;
  std::optional<std::int64_t> session;
  std::vector<std::int64_t> shape;  // H,W,C
  std::int64_t frames = 0;
  std::uint64_t last = 0;  // number of the last frame
  std::vector<Stretch> stretches;
  std::deque<Turn> waiting;  // turns whose frames have not come
  std::uint64_t recorded = 0;
  Clock::time_point begun;  // when the first of them was recorded
  std::vector<std::int64_t> games;
};

using P = GameFiles::Params;
const bool registered =
    graph::Stage<GameFiles>("game_files")
        .summary("write one player's game as a dataset that can be dreamed again")
        .in("frame", "pixels [S,H,W,C] uint8, action [S]")
        .in("turns", "what led to the frames, of all players; may stay loose")
        .param("folder", &P::folder, "where; empty: the run's folder")
        .param("session", &P::session, "of the player; -1: the only one", graph::at_least(-1))
        .param("frames", &P::frames, "after which the run is stopped; 0: all that come", graph::at_least(0))
        .on(graph::Executor::thread)
        .writes()
        .add();

}  // namespace
}  // namespace stages
