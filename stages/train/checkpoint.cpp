// checkpoint: writes the weights to disk, every so many steps and at the end.
//
// `checkpoints/step-000500.safetensors` in the run's folder holds what is to be played: the running mean of the
// weights where there is one, else the weights. The `model:` block is in the metadata. A file is there whole or
// not at all, whenever the process is killed. Reading a snapshot while training goes on is safe, since published
// weights never change.
#include <spdlog/spdlog.h>

#include <filesystem>

#include "graph/stage.h"
#include "stages/model/weights_file.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Checkpoint {
  struct Params {
    std::int64_t every = 500;
    model::Config model;
  };

  void start(const graph::Context& context) {
    graph::require(context.run != nullptr, "checkpoint needs a run folder");
    folder = context.run->folder() / "checkpoints";
    std::filesystem::create_directories(folder);
  }

  void operator()(const Snapshot& snapshot) {
    newest = snapshot;
    if (snapshot.state->step % params.every == 0) save();
  }

  void finish() {
    if (newest.state && newest.state->step != saved) save();
  }

  void save() {
    const auto& state = *newest.state;
    const auto path = folder / fmt::format("step-{:06}.safetensors", state.step);
    const auto& weights = state.ema.empty() ? state.weights : state.ema;
    model::save(path, params.model, weights, {{"step", std::to_string(state.step)}});
    saved = state.step;
    spdlog::info("saved {}", path.generic_string());
  }

  Params params;
  std::filesystem::path folder;
  Snapshot newest;
  std::int64_t saved = -1;
};

using P = Checkpoint::Params;
const bool registered =
    graph::Stage<Checkpoint>("checkpoint")
        .summary("write the weights to disk")
        .in("snapshot", "weights and step")
        .param("every", &P::every, "steps from one file to the next; the last is always written",
               graph::at_least(1))
        .unit("steps")
        .block("model", &P::model)
        .on(graph::Executor::thread)
        .writes()
        .add();

}  // namespace
}  // namespace stages
