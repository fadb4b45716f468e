// checkpoint: writes the weights to disk, and what the run goes on from, every so many steps and at the end.
//
//   checkpoints/step-000500.safetensors   what is to be played: the running mean of the weights where there is one
//   checkpoints/resume.safetensors        the newest state of training, all of it
//   checkpoints/index.json                what lies there and how good it is, best first
//
// Of the weights the `keep` best stay (by validation loss; the newest where there is none), and the latest. A
// file is there whole or not at all, whenever the process is killed; weights come before the state that goes on
// from them, so that after a kill the same files are written again. The index is made from the folder, never
// the other way round. Reading a snapshot while training goes on is safe, since published weights never change.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "graph/stage.h"
#include "stages/find_checkpoint.h"
#include "stages/model/safetensors.h"
#include "stages/model/train_state_file.h"
#include "stages/train/resume_file.h"
#include "stages/types.h"
#include "stages/whole_file.h"

namespace stages {
namespace {

namespace fs = std::filesystem;

// One weights file of the folder.
struct Saved {
  std::string file;
  std::int64_t step = 0;
  std::optional<double> val_loss;

  // Validated before not validated, then by loss, then the newer first.
  bool operator<(const Saved& other) const {
    if (val_loss.has_value() != other.val_loss.has_value()) return val_loss.has_value();
    if (val_loss && *val_loss != *other.val_loss) return *val_loss < *other.val_loss;
    return step > other.step;
  }
};

std::optional<double> val_loss_of(const model::Facts& facts) {
  const auto fact = facts.find("val_loss");
  if (fact == facts.end()) return std::nullopt;
  double loss = 0;
  const auto* end = fact->second.data() + fact->second.size();
  const auto [at, code] = std::from_chars(fact->second.data(), end, loss);
  return code == std::errc{} && at == end && std::isfinite(loss) ? std::optional(loss) : std::nullopt;
}

struct Checkpoint {
  struct Params {
    std::int64_t every = 500;
    std::int64_t keep = 3;
    model::Config model;
  };

  void start(const graph::Context& context) {
    graph::require(context.run != nullptr, "checkpoint needs a run folder");
    folder = context.run->folder() / "checkpoints";
    fs::create_directories(folder);
    read_folder(static_cast<std::int64_t>(context.run->first()));
  }

  void operator()(const Snapshot& snapshot, const graph::Context& context) {
    newest = snapshot;
    if (snapshot.state->step % params.every == 0) save(context);
  }

  void finish(const graph::Context& context) {
    if (newest.state && newest.state->step != saved) save(context);
  }

  void save(const graph::Context& context) {
    const auto& state = *newest.state;
    Saved entry{fmt::format("step-{:06}.safetensors", state.step), state.step, newest.val_loss};
    model::Facts facts{{"step", std::to_string(state.step)}};
    if (entry.val_loss && !std::isfinite(*entry.val_loss)) entry.val_loss.reset();
    if (entry.val_loss) facts["val_loss"] = fmt::format("{}", *entry.val_loss);
    model::save(folder / entry.file, params.model, state.ema.empty() ? state.weights : state.ema, facts);
    facts["seconds"] = fmt::format("{}", context.run->elapsed());
    model::save_train_state(resume_file(context.run->folder()), params.model, state, facts);
    saved = state.step;
    std::erase_if(all, [&](const Saved& old) { return old.file == entry.file; });
    all.push_back(entry);
    prune();
    write_index();
    spdlog::info("saved {}", (folder / entry.file).generic_string());
  }

  const Saved& latest() const { return *std::ranges::max_element(all, {}, &Saved::step); }

  void prune() {
    std::sort(all.begin(), all.end());
    const auto newest_file = latest().file;
    std::int64_t kept = 0;
    std::erase_if(all, [&](const Saved& each) {
      if (kept++ < params.keep || each.file == newest_file) return false;
      std::error_code ignored;
      fs::remove(folder / each.file, ignored);
      return true;
    });
  }

  void write_index() const {
    auto list = nlohmann::ordered_json::array();
    for (const auto& each : all) {
      list.push_back({{"file", each.file}, {"step", each.step}});
      if (each.val_loss) list.back()["val_loss"] = *each.val_loss;
    }
    write_whole(folder / "index.json",
                nlohmann::ordered_json{{"latest", latest().file}, {"best_first", list}}.dump(1) + "\n");
  }

  // What earlier processes have left. Files under names of somebody's own are let alone, and so are weights of steps
  // to come, which a kill may have left behind: they will be written again.
  void read_folder(std::int64_t first) {
    for (const auto& file : fs::directory_iterator(folder)) {
      const auto name = file.path().filename().string();
      const auto step = checkpoint_step(name);
      if (!step || *step > first) continue;
      try {
        all.push_back({name, *step, val_loss_of(model::read_metadata(file.path()))});
      } catch (const std::exception& error) {
        spdlog::warn("not in the index: {}", error.what());
      }
    }
    std::sort(all.begin(), all.end());
    if (!all.empty()) write_index();
  }

  Params params;
  fs::path folder;
  std::vector<Saved> all;
  Snapshot newest;
  std::int64_t saved = -1;
};

using P = Checkpoint::Params;
const bool registered =
    graph::Stage<Checkpoint>("checkpoint")
        .summary("write the weights to disk, and what the run goes on from")
        .in("snapshot", "all that training continues from")
        .param("every", &P::every, "steps from one file to the next; the last is always written",
               graph::at_least(1))
        .unit("steps")
        .live()
        .param("keep", &P::keep, "best weights that stay; the latest stay as well", graph::at_least(1))
        .unit("files")
        .live()
        .block("model", &P::model)
        .on(graph::Executor::thread)
        .writes()
        .resumes()
        .add();

}  // namespace
}  // namespace stages
