// dreamer: what every denoiser shares: weights, what the network remembers of each game, guidance, commits.
//
// A denoiser adds the way from noise to frame, a solver. The network sees a player's last n_window-1 frames through a
// cache of keys and values; what the cache keeps of a finished frame is `commit`:
//
//   last_step   the last evaluation's input, as the reference does: free, but at few steps still half noise
//   clean       one more pass over the finished frame, labelled with the level context_noise
//   renoised    one more pass over the frame noised to context_noise, labelled so
//
// For the last two the frame is first clamped and rounded to 8 bits (quantize), so that what the network remembers is
// what the player saw, and errors below a shade cannot add up.
//
//   v = v_none + guidance · (v_action - v_none)
//
// where v_none is the network's answer to action 0: with a memory of its own, in which every action was 0, as in
// the reference (guidance_cache: own), or with the player's memory, so that only this frame has no action (shared),
// which costs no second cache and no second pass for the commit. At guidance 1 it is not computed. Beside the
// caches each game keeps its frames (8 bits) and actions: from these the memory is made anew, in one pass, when a
// game begins with real frames, when guidance leaves 1, and when new weights arrive, to which the old keys are
// foreign.
//
// Sources: Ho & Salimans 2022 arXiv:2207.12598 (guidance)
#pragma once

#include <ATen/core/Generator.h>
#include <tbb/task_arena.h>

#include <chrono>
#include <deque>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/context.h"
#include "graph/stage.h"
#include "stages/model/mmdit.h"
#include "stages/model/schedule.h"
#include "stages/play/solvers.h"
#include "stages/settings.h"
#include "stages/types.h"

namespace stages {

/// Parameters that every denoiser has.
struct DreamParams : model::Schedule {
  std::string checkpoint;
  bool follow = false;
  int steps = 1;
  double guidance = 1;
  std::string guidance_cache = "own";
  std::string commit = "clean";
  double context_noise = 0;
  bool quantize = true;
  std::uint64_t seed = 0;
  std::string device = "auto";
  std::optional<model::Config> model;  // of a Python checkpoint
};

/// Used by one thread. Throws graph::Error, std::runtime_error or std::invalid_argument with one clear line.
class Dreamer {
 public:
  /// Loads the weights.
  void start(const DreamParams& params, const graph::Context& context);

  /// The next frame of every player, [S,1,P,D] on the CPU. A player's noise depends on seed, turn number
  /// and session alone. Who is not in the turn is forgotten.
  Patches dream(const DreamParams& params, const Turn& turn, const graph::Context& context,
                const Solver& solve);

 private:
  struct Game {
    model::KvCache guided;                   // remembers the actions
    std::optional<model::KvCache> unguided;  // remembers none; only there while guidance needs it
    std::deque<at::Tensor> frames;           // the last n_window-1, [P,D] uint8
    std::deque<std::int64_t> actions;        // that led to them
    bool stale = false;                      // the caches are not what frames and actions say
  };
  // One frame's choices.
  struct Moment {
    const DreamParams& params;
    const Solver& solve;
    const std::vector<double>& levels;
    std::vector<at::Generator> random;  // of each row
    bool guides;
    bool remembers_none;  // guides, with a cache of its own
  };

  at::Tensor known(const at::Tensor& action) const;
  at::Tensor to_pixels(const at::Tensor& x) const;
  at::Tensor from_pixels(const at::Tensor& bytes) const;
  void follow(const DreamParams& params, const std::string& stage);
  at::Tensor predict(const at::Tensor& x, double level, const at::Tensor& action,
                     const std::vector<model::KvCache*>& rows, std::int64_t players);
  std::vector<Game*> seat(const Turn& turn);
  void begin(Game& game, const Start& start) const;
  void remember(Game& game, const at::Tensor& frame, std::int64_t action) const;
  void rebuild(Game& game, const Moment& moment, std::size_t row) const;
  at::Tensor noise(const Moment& moment) const;

  at::Device device_ = at::kCPU;
  tbb::task_arena arena_;
  std::optional<model::Mmdit> network_;
  std::shared_ptr<const model::Mmdit::Packed> weights_;
  std::map<std::int64_t, Game> games_;  // by session

  std::filesystem::path path_, loading_path_;
  std::chrono::steady_clock::time_point looked_;
  std::future<std::shared_ptr<const model::Mmdit::Packed>> loading_;
  std::string complaint_;
};

/// A denoiser without parameters of its own. `solve` is a Solver.
template <auto solve>
struct Denoiser {
  using Params = DreamParams;

  void start(const graph::Context& context) { dreamer.start(params, context); }

  Patches operator()(const Turn& turn, const graph::Context& context) {
    return dreamer.dream(params, turn, context, solve);
  }

  Params params;
  Dreamer dreamer;
};

/// Declares the ports of a denoiser and what DreamParams holds.
template <class T>
graph::Stage<T>& declare_denoiser(graph::Stage<T>& stage) {
  using P = DreamParams;
  return stage.in("turn", "action [S] of every player, and whose game begins")
      .out("patches", "x [S,1,P,D] in about [-1,1], action [S,1]")
      .param("checkpoint", &P::checkpoint,
             "a weights file, or a run folder for its newest; or a Python model.pt, for "
             "which a config's `model:` says what it is")
      .param("follow", &P::follow, "take newer weights of the run folder as they come, while playing")
      .param("steps", &P::steps, "from noise to data; the schedule custom has its own",
             graph::between(1, 1000))
      .live()
      .param("schedule", &P::schedule, "noise levels of the steps; `./run schedule` prints them",
             graph::one_of(model::schedules()))
      .param("shift", &P::shift, "of shifted_linear and sd3: above 1 spends more steps near noise",
             graph::between(0.001, 1000))
      .live()
      .param("spacing", &P::spacing, "of the schedule sd3", graph::one_of(model::spacings()))
      .param("terminal", &P::terminal, "of the schedule sd3: its last level above 0; 0: as it comes",
             graph::half_open(0, 1))
      .param("rho", &P::rho, "of the schedule karras: above 1 spends more steps near data",
             graph::between(1, 100))
      .param("levels", &P::levels, "of the schedule custom: all of them, from 1 down to 0",
             graph::between(0, 1))
      .param("guidance", &P::guidance, "above 1 answers more strongly to the action; 1 costs nothing",
             graph::between(0, 100))
      .live()
      .param("guidance_cache", &P::guidance_cache,
             "what the branch without action remembers: nothing but frames without actions, or what the "
             "player does",
             graph::one_of({"own", "shared"}))
      .param("commit", &P::commit, "what the cache keeps of a frame",
             graph::one_of({"last_step", "clean", "renoised"}))
      .param("context_noise", &P::context_noise, "noise level of what clean and renoised keep",
             graph::between(0, 1))
      .param("quantize", &P::quantize, "round the frame to 8 bits before clean and renoised keep it")
      .shared("seed", &P::seed, "same seed and actions, same dream")
      .shared("device", &P::device, "where to compute; auto takes a GPU when there is one", devices())
      .block("model", &P::model)
      .on(graph::Executor::thread);
}

}  // namespace stages
