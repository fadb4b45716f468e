// mmdit: the network's loss on a batch and its gradients, forward and backward over micro-batches.
//
// The batch is cut into micro-batches of fixed size, which the cores work off side by side, each on one thread;
// losses and gradients are then summed in the order of the micro-batches. So the result does not depend on the
// number of cores, to the last bit. When the run is asked to stop, the unfinished batch is abandoned.
#include "stages/model/mmdit.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <optional>

#include "graph/stage.h"
#include "stages/settings.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Mmdit {
  struct Params {
    std::int64_t micro_batch = 4;
    std::string device = "auto";
    model::Config model;
  };

  void start() {
    network.emplace(params.model);
    device = device_of(params.device);
    arena.initialize(workers_of(device));
  }

  std::optional<Gradients> operator()(const NoisyPatches& batch, const Weights& weights,
                                      const graph::Context& context) {
    graph::require(at::GradMode::is_enabled(), "gradients are switched off on this thread");
    const auto B = batch.x_t.size(0);
    const auto parts = (B + params.micro_batch - 1) / params.micro_batch;
    std::vector<Gradients> part(static_cast<std::size_t>(parts));
    arena.execute([&] {
      tbb::parallel_for(std::int64_t{0}, parts, [&](std::int64_t m) {
        if (context.stopping()) return;
        const auto begin = m * params.micro_batch;
        part[static_cast<std::size_t>(m)] =
            differentiate(batch, weights.parameters, begin, std::min(begin + params.micro_batch, B));
      });
    });
    if (context.stopping()) return std::nullopt;
    auto& sum = part[0];
    arena.execute([&] {
      tbb::parallel_for(std::size_t{0}, sum.of.size(), [&](std::size_t i) {
        const at::NoGradGuard no_gradients;
        for (std::size_t m = 1; m < part.size(); ++m) sum.of[i].add_(part[m].of[i]);
      });
    });
    for (std::size_t m = 1; m < part.size(); ++m) {
      sum.loss += part[m].loss;
      sum.frames += part[m].frames;
    }
    return std::move(sum);
  }

  // Clips [begin, end) of the batch, weighted by their share of it.
  Gradients differentiate(const NoisyPatches& batch, const model::Parameters& weights, std::int64_t begin,
                          std::int64_t end) const {
    const auto take = [&](const at::Tensor& all) { return all.slice(0, begin, end).to(device); };
    const auto leaves = weights.leaves();
    const auto x_t = take(batch.x_t), t = take(batch.t);
    const auto prediction = network->forward(leaves, x_t, t, take(batch.action), batch.past);
    const auto frames = prediction.size(1);
    const auto predicted = [&](const at::Tensor& all) { return all.narrow(1, batch.past, frames); };
    const auto share = static_cast<double>(end - begin) / static_cast<double>(batch.x_t.size(0));
    const auto loss =
        network->loss(prediction, predicted(x_t), predicted(take(batch.v)), predicted(t)) * share;
    auto of = torch::autograd::grad({loss}, leaves.tensors);
    return {std::move(of), loss.item<double>(), (end - begin) * frames};
  }

  Params params;
  std::optional<model::Mmdit> network;
  at::Device device = at::kCPU;
  tbb::task_arena arena;
};

using P = Mmdit::Params;
const bool registered =
    graph::Stage<Mmdit>("mmdit")
        .summary("the network's loss and gradients on a batch")
        .in("batch", "x_t and v [B,T,P,D], t [B,T], action [B,T]")
        .in("weights", "the parameters to differentiate by")
        .out("gradients", "d loss / d parameter, mean loss, frames")
        .param("micro_batch", &P::micro_batch, "clips that one core works on at a time", graph::at_least(1))
        .shared("device", &P::device, "where to compute; auto takes a GPU when there is one", devices())
        .block("model", &P::model)
        .on(graph::Executor::thread)
        .add();

}  // namespace
}  // namespace stages
