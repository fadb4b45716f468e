// npy_writer: writes episodes end to end as a dataset of three files, frames.npy, actions.npy and rewards.npy.
//
//   frames   [N,H,W,C] uint8      actions  [N] int64: 0 stay, 1 up, 2 down      rewards  [N] float32
//
// They lie under NAME.part until all of them are whole and on disk; then rewards, actions and frames get their
// names, in this order: where frames.npy is, the dataset is complete. A run that fails, or is stopped before its
// `stop:`, leaves none; without a `stop:` Ctrl-C ends the dataset. Actions are int64 since the reference's loader
// hands them to an embedding as they are.
#include <spdlog/spdlog.h>
#include <torch/types.h>

#include <chrono>
#include <filesystem>
#include <optional>

#include "graph/stage.h"
#include "stages/data/npy.h"
#include "stages/types.h"

namespace stages {
namespace {

namespace fs = std::filesystem;

struct NpyWriterStage {
  struct Params {
    std::string folder;
    double every = 5;
  };
  using Clock = std::chrono::steady_clock;

  struct Files {
    explicit Files(const fs::path& folder)
        : frames(folder / "frames.npy", "|u1"),
          actions(folder / "actions.npy", "<i8"),
          rewards(folder / "rewards.npy", "<f4") {}
    NpyWriter frames, actions, rewards;
  };

  void start(const graph::Context& context) {
    folder = params.folder;
    if (folder.empty()) {
      graph::require(context.run != nullptr, "npy_writer needs a folder");
      folder = context.run->folder();
    }
    std::error_code error;
    fs::create_directories(folder, error);
    if (error)
      throw graph::Error("cannot make the folder " + folder.generic_string() + ": " + error.message());
    for (const auto* name : {"frames.npy", "actions.npy", "rewards.npy"})
      if (fs::exists(folder / name, error))
        throw graph::Error((folder / name).generic_string() + " exists; choose another folder, or remove it");
    files.emplace(folder);
    begun = said = Clock::now();
  }

  void operator()(const Episode& episode, const graph::Context& context) {
    const auto item = episode.frames.sizes().slice(1).vec();  // [T,H,W,C] → H,W,C
    if (shape.empty()) shape = item;
    graph::require(item == shape && episode.frames.scalar_type() == at::kByte && item.size() == 3,
                   "every episode's frames must be uint8 [T,H,W,C], with the same H, W and C");
    graph::require(episode.action.scalar_type() == at::kLong && episode.reward.scalar_type() == at::kFloat &&
                       episode.action.numel() == episode.frames.size(0) &&
                       episode.reward.numel() == episode.frames.size(0),
                   "an episode needs an int64 action and a float32 reward for each frame");
    try {
      append(files->frames, episode.frames);
      append(files->actions, episode.action);
      append(files->rewards, episode.reward);
    } catch (...) {
      files.reset();  // gives a full disk back at once
      throw;
    }
    frames += episode.frames.size(0);
    ++episodes;
    if (seconds(said) < params.every) return;
    said = Clock::now();
    const auto steps = context.run ? context.run->steps() : 0;
    spdlog::info(
        "{}{} frames  {:.0f} frames/s", frames,
        steps ? fmt::format(" of {}", steps * static_cast<std::uint64_t>(episode.frames.size(0))) : "",
        rate());
  }

  void finish(const graph::Context& context) {
    if (!files) return;
    const bool unfinished =
        context.stopping() && (!context.run || context.run->ends() || context.run->failed());
    if (frames == 0 || unfinished) {
      files.reset();
      spdlog::warn("stopped after {} frames: no dataset is left", frames);
      return;
    }
    spdlog::info("{} frames, {} episodes, written in {:.1f} s: {:.0f} frames/s", frames, episodes,
                 seconds(begun), rate());
    const auto flushing = Clock::now();
    shape.insert(shape.begin(), frames);
    files->frames.flush(shape);
    files->actions.flush({frames});
    files->rewards.flush({frames});
    files->rewards.publish();
    files->actions.publish();
    files->frames.publish();
    flush_folder(folder);
    spdlog::info("dataset in {}; flushing it to disk took {:.1f} s more", folder.generic_string(),
                 seconds(flushing));
  }

  static void append(NpyWriter& file, const at::Tensor& numbers) {
    const auto whole = numbers.contiguous();
    file.append(whole.data_ptr(), whole.nbytes());
  }

  static double seconds(Clock::time_point since) {
    return std::chrono::duration<double>(Clock::now() - since).count();
  }
  double rate() const { return static_cast<double>(frames) / seconds(begun); }

  Params params;
  fs::path folder;
  std::optional<Files> files;
  std::vector<std::int64_t> shape;  // H,W,C
  std::int64_t frames = 0, episodes = 0;
  Clock::time_point begun, said;
};

using P = NpyWriterStage::Params;
const bool registered = graph::Stage<NpyWriterStage>("npy_writer")
                            .summary("write episodes to a dataset's three .npy files")
                            .in("episode", "frames [T,H,W,C] uint8, action [T], reward [T]")
                            .param("folder", &P::folder, "where; empty: the run's folder")
                            .param("every", &P::every, "between progress lines", graph::at_least(0))
                            .unit("s")
                            .on(graph::Executor::thread)
                            .writes()
                            .add();

}  // namespace
}  // namespace stages
