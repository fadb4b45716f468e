// pong_judge: measures dreamed Pong by the simulator's, prints a table and writes the figures to a file.
//
// A frame's rows that have a truth beside them are compared with it (comparison.h says what the figures mean); those
// beyond are watched for how long they stay games (endurance.h). When the first are over and enough of the others have
// failed for their median to be known, the run is ended.
#include <spdlog/spdlog.h>
#include <torch/types.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>

#include "graph/stage.h"
#include "stages/eval/comparison.h"
#include "stages/eval/endurance.h"
#include "stages/play/rows.h"
#include "stages/types.h"
#include "stages/whole_file.h"

namespace stages {
namespace {

struct PongJudge {
  struct Params {
    std::string path;
  };

  void start(const graph::Context& context) {
    path = params.path;
    if (!path.empty()) return;
    graph::require(context.run != nullptr, "pong_judge needs a path");
    path = context.run->folder() / "figures.json";
  }

  void operator()(const Frame& dreamed, const Truth& truth, const graph::Context& context) {
    const auto pixels = dreamed.pixels.contiguous();
    const auto S = pixels.size(0), N = truth.pixels.size(0);
    graph::require(N <= S && pixels.sizes().slice(1) == truth.pixels.sizes().slice(1) &&
                       pixels.size(3) == 3 && truth.steps.size() == static_cast<std::size_t>(N),
                   "the dreamed frames [S,H,W,3] must be as large as the simulator's [N,H,W,3], N <= S; set "
                   "height and width of the source to the model's");
    if (!comparison) begin(pixels, truth.rendering);
    const auto sessions = sessions_of(dreamed);
    for (std::int64_t row = 0; row < S; ++row) {
      const auto session = sessions[static_cast<std::size_t>(row)];
      if (row >= N) {
        endurance->add(session, row_of(pixels, row));
        continue;
      }
      comparison->add(static_cast<std::size_t>(session),
                      {row_of(pixels, row), row_of(truth.pixels, row), row_of(truth.last, row),
                       dreamed.action[row].item<std::int64_t>(), truth.steps[static_cast<std::size_t>(row)]});
    }
    if (N > 0 || decided || !endurance->is_decided()) return;
    decided = true;
    context.stop();
  }

  void begin(const at::Tensor& pixels, pong::Rendering rendering) {
    const pong::Finder finder({static_cast<int>(pixels.size(1)), static_cast<int>(pixels.size(2))},
                              rendering);
    comparison.emplace(finder);
    endurance.emplace(finder);
  }

  static std::span<const std::uint8_t> row_of(const at::Tensor& frames, std::int64_t row) {
    const auto bytes = static_cast<std::size_t>(frames[0].numel());
    return {frames.data_ptr<std::uint8_t>() + static_cast<std::size_t>(row) * bytes, bytes};
  }

  void finish(const graph::Context& context) const {
    // Who stops a run does not want half of its figures, and they would compare with nobody's.
    if (!comparison || (context.stopping() && !decided) || (context.run && context.run->failed())) return;
    auto figures = comparison->figures();
    figures["stable_frames"] = endurance->figure();
    if (const auto games = endurance->summary(); !games.empty()) spdlog::info("free games: {}", games);
    std::fputs(table(figures).c_str(), stdout);
    std::fflush(stdout);
    write_whole(path, figures.dump(2) + "\n");
  }

  Params params;
  std::filesystem::path path;
  std::optional<Comparison> comparison;
  std::optional<Endurance> endurance;
  bool decided = false;  // nothing that comes can change the figures
};

const bool registered =
    graph::Stage<PongJudge>("pong_judge")
        .summary("measure dreamed Pong by the simulator's")
        .in("dreamed", "pixels [S,H,W,3] uint8, action [S]")
        .in("truth", "what the simulator shows to the first N of these players, [N,H,W,3]")
        .param("path", &PongJudge::Params::path,
               "of the figures, JSON; empty: figures.json in the run's folder")
        .on(graph::Executor::thread)
        .writes()
        .add();

}  // namespace
}  // namespace stages
