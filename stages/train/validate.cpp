// validate: the loss on clips never trained on, by noise level, of the weights that play.
//
// For each level t of 1, 0.75, 0.5, 0.25, 0.1, 0 every frame of every held-out clip is mixed to it,
//
//   x_t = (1 - t) x0 + t z        with the same noise z every time, so that two steps differ by their weights alone,
//
// and the network predicts it as in play, with every action given, behind the clip's own frames at the level context_noise
// (a network that cannot be given them sees the frames before at the level t too). The first least_past frames of a clip
// are not measured. The mean over the levels ranks checkpoints.
// The weights are the running mean where there is one. Training goes on while it measures, as far as the steps
// that may be in flight, and shares the cores with it. Sums are made in a fixed order, so the figures are the
// same to the bit on any number of cores. A measurement that an interrupt finds under way is given up, and a
// run that goes on does not repeat it.
//
// Source: the levels are toy-wm's (github.com/wendlerc/toy-wm); a loss by noise level, as in minRF
#include <spdlog/spdlog.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <torch/types.h>

#include <array>
#include <optional>
#include <tuple>
#include <utility>

#include "graph/stage.h"
#include "stages/model/mmdit.h"
#include "stages/model/patch_embed.h"
#include "stages/random.h"
#include "stages/settings.h"
#include "stages/types.h"

namespace stages {
namespace {

constexpr std::array levels{1.0, 0.75, 0.5, 0.25, 0.1, 0.0};

struct Validate {
  struct Params {
    std::int64_t every = 500, micro_batch = 4, least_past = 0;
    double context_noise = 0.1;
    std::uint64_t seed = 0;
    std::string device = "auto";
    model::Config model;
  };

  void start() {
    network.emplace(params.model);
    device = device_of(params.device);
    arena.initialize(workers_of(device));
  }

  std::tuple<Snapshot, Report> operator()(const Snapshot& snapshot, const Report& report,
                                          const std::optional<HeldOut>& held_out,
                                          const graph::Context& context) {
    const auto step = snapshot.state->step;
    if (held_out && !x0.defined()) take(held_out->clips);
    const bool last = context.run && context.run->steps() == static_cast<std::uint64_t>(step);
    newest = snapshot;
    if (step % params.every != 0 && !last) return {snapshot, report};
    auto measured = report;
    measured.val_loss_at = measure(context);
    return {newest, std::move(measured)};
  }

  // A run by minutes does not know its last step before it is over.
  std::optional<Snapshot> finish(const graph::Context& context) {
    if (!newest.state || newest.val_loss || context.stopping()) return std::nullopt;
    measure(context);
    if (!newest.val_loss) return std::nullopt;
    spdlog::info("step {}: validation loss {:.4f}", newest.state->step, *newest.val_loss);
    return newest;
  }

  void take(const Clip& clips) {
    x0 = model::patchify(clips.frames, params.model.patch_size).to(device);
    graph::require(params.least_past < x0.size(1),
                   "of the held-out clips no frame has least_past frames before it; set longer clips");
    const auto random = generator(params.seed, 0, "validate");
    z = torch::randn(x0.sizes(), random).to(device);
    if (network->takes_past())
      remembered = (1 - params.context_noise) * x0 +
                   params.context_noise * torch::randn(x0.sizes(), random).to(device);
    action = clips.action.to(device);
  }

  // The newest snapshot's losses, whose mean it takes. None without clips, or when the run was asked to stop
  // meanwhile.
  std::vector<LevelLoss> measure(const graph::Context& context) {
    std::vector<LevelLoss> measured;
    if (!x0.defined()) {
      if (!std::exchange(complained, true))
        spdlog::warn("{}: no clips are held out, so nothing is validated; see the source's held_out",
                     context.stage);
      return measured;
    }
    const auto& state = *newest.state;
    const auto& weights = state.ema.empty() ? state.weights : state.ema;
    const auto B = x0.size(0), parts = (B + params.micro_batch - 1) / params.micro_batch,
               jobs = parts * static_cast<std::int64_t>(levels.size());
    std::vector<double> loss(static_cast<std::size_t>(jobs));
    arena.execute([&] {
      tbb::parallel_for(std::int64_t{0}, jobs, [&](std::int64_t job) {
        if (context.stopping()) return;
        const auto begin = job % parts * params.micro_batch, end = std::min(begin + params.micro_batch, B);
        const auto share = static_cast<double>(end - begin) / static_cast<double>(B);
        loss[static_cast<std::size_t>(job)] =
            share * loss_of(weights, levels[static_cast<std::size_t>(job / parts)], begin, end);
      });
    });
    if (context.stopping()) return measured;
    double mean = 0;
    for (std::size_t job = 0; job < loss.size(); ++job) {
      if (job % static_cast<std::size_t>(parts) == 0) measured.push_back({levels[measured.size()], 0});
      measured.back().loss += loss[job];
      mean += loss[job] / static_cast<double>(levels.size());
    }
    newest.val_loss = mean;
    return measured;
  }

  double loss_of(const model::Parameters& weights, double level, std::int64_t begin, std::int64_t end) const {
    const at::NoGradGuard no_gradients;
    const auto data = x0.slice(0, begin, end), noise = z.slice(0, begin, end);
    const auto x_t = (1 - level) * data + level * noise;
    const auto t = torch::full({data.size(0), data.size(1)}, level, data.options());
    auto x = x_t, labels = t, actions = action.slice(0, begin, end);
    if (remembered.defined()) {
      x = torch::cat({remembered.slice(0, begin, end), x_t}, 1);
      labels = torch::cat({torch::full_like(t, params.context_noise), t}, 1);
      actions = torch::cat({actions, actions}, 1);
    }
    const auto prediction =
        network->forward(weights, x, labels, actions, remembered.defined() ? data.size(1) : 0);
    const auto measured = [&](const at::Tensor& all) {
      return all.narrow(1, params.least_past, all.size(1) - params.least_past);
    };
    return network->loss(measured(prediction), measured(x_t), measured(data - noise), measured(t))
        .item<double>();
  }

  Params params;
  std::optional<model::Mmdit> network;
  at::Device device = at::kCPU;
  tbb::task_arena arena;
  at::Tensor x0, z, remembered;  // [B,T,P,D]
  at::Tensor action;             // [B,T]
  Snapshot newest;
  bool complained = false;
};

using P = Validate::Params;
const bool registered =
    graph::Stage<Validate>("validate")
        .summary("measure the loss on held-out clips, by noise level")
        .in("snapshot", "weights of a step")
        .in("report", "numbers of the same step")
        .in("clips", "what is held out, x [B,T,C,H,W]")
        .out("snapshot", "with val_loss where it was measured")
        .out("report", "with val_loss_at where it was measured")
        .param("every", &P::every, "steps from one measurement to the next; the last step is measured too",
               graph::at_least(1))
        .unit("steps")
        .live()
        .param("micro_batch", &P::micro_batch, "clips that one core works on at a time", graph::at_least(1))
        .param("least_past", &P::least_past, "frames of a clip with fewer before them are not measured",
               graph::at_least(0))
        .unit("frames")
        .param("context_noise", &P::context_noise,
               "noise level of the frames before the one that is predicted", graph::between(0, 1))
        .shared("seed", &P::seed, "same seed, same noise")
        .shared("device", &P::device, "where to compute; auto takes a GPU when there is one", devices())
        .block("model", &P::model)
        .on(graph::Executor::thread)
        .add();

}  // namespace
}  // namespace stages
