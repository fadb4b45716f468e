// mmdit: the network's loss on a batch and its gradients, forward and backward over micro-batches.
//
// The batch is cut into micro-batches of fixed size, which the cores work off side by side, each on one thread;
// losses and gradients are summed as they come, in the order of the micro-batches. So the result does not depend on
// the number of cores, to the last bit, and at most two more sets of gradients are kept than there are cores. When
// the run is asked to stop, the unfinished batch is abandoned.
//
// The first frames of a clip cannot be known from those before them, and play begins with real frames; their error is so
// much larger than the others' that most of a gradient would be theirs. `least_past` leaves them out. Where what follows is
// in doubt, a squared error asks for the mean of all that may, which is no game, and such frames make most of the rest:
// `huber` asks for the likelier, and gives them less weight. The loss that is reported is then not to be compared with
// that of validation, which is squared.
#include "stages/model/mmdit.h"

#include <tbb/parallel_for.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "graph/stage.h"
#include "stages/settings.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Mmdit {
  struct Params {
    std::int64_t micro_batch = 4, least_past = 0;
    double huber = 0;
    std::string products = "auto", device = "auto";
    model::Config model;
  };

  void start() {
    network.emplace(params.model);
    device = device_of(params.device);
    arena.initialize(workers_of(device));
    if (params.products == "auto") products = model::fastest_products();
  }

  std::optional<Gradients> operator()(const NoisyPatches& batch, const Weights& weights,
                                      const graph::Context& context) {
    graph::require(at::GradMode::is_enabled(), "gradients are switched off on this thread");
    const auto B = batch.x_t.size(0);
    std::int64_t done = 0;  // clips that have been handed out
    std::optional<Gradients> sum;
    const auto next = [&](tbb::flow_control& flow) {
      if (done >= B || context.stopping()) flow.stop();
      return std::exchange(done, done + params.micro_batch);
    };
    const auto work = [&](std::int64_t begin) {
      return differentiate(batch, weights.parameters, begin, std::min(begin + params.micro_batch, B));
    };
    const auto collect = [&](Gradients part) {
      if (sum)
        add(part, *sum);
      else
        sum = std::move(part);
    };
    using Filter = tbb::filter_mode;
    arena.execute([&] {
      // One more than there are workers, so that nobody waits where one is a little late.
      tbb::parallel_pipeline(static_cast<std::size_t>(arena.max_concurrency()) + 1,
                             tbb::make_filter<void, std::int64_t>(Filter::serial_in_order, next),
                             tbb::make_filter<std::int64_t, Gradients>(Filter::parallel, work),
                             tbb::make_filter<Gradients, void>(Filter::serial_in_order, collect));
    });
    if (context.stopping()) return std::nullopt;
    return sum;
  }

  // Isolated, since a thread that took up a whole micro-batch meanwhile would keep all later ones waiting.
  static void add(const Gradients& part, Gradients& sum) {
    tbb::this_task_arena::isolate([&] {
      tbb::parallel_for(std::size_t{0}, sum.of.size(), [&](std::size_t i) {
        const at::NoGradGuard no_gradients;
        sum.of[i].add_(part.of[i]);
      });
    });
    sum.loss += part.loss;
    sum.frames += part.frames;
  }

  // Clips [begin, end) of the batch, weighted by their share of it.
  Gradients differentiate(const NoisyPatches& batch, const model::Parameters& weights, std::int64_t begin,
                          std::int64_t end) const {
    const auto take = [&](const at::Tensor& all) { return all.slice(0, begin, end).to(device); };
    const auto leaves = weights.leaves();
    const auto x_t = take(batch.x_t), t = take(batch.t);
    const auto frames = t.size(1) - batch.past - params.least_past;
    graph::require(frames > 0, "of these clips no frame has least_past frames before it; set longer clips");
    const auto prediction = network->forward(leaves, x_t, t, take(batch.action), batch.past, products);
    const auto learned = [&](const at::Tensor& all) { return all.narrow(1, all.size(1) - frames, frames); };
    const auto share = static_cast<double>(end - begin) / static_cast<double>(batch.x_t.size(0));
    const auto loss =
        network->loss(learned(prediction), learned(x_t), learned(take(batch.v)), learned(t), params.huber) *
        share;
    auto of = torch::autograd::grad({loss}, leaves.tensors);
    return {std::move(of), loss.item<double>(), (end - begin) * frames};
  }

  Params params;
  std::optional<model::Mmdit> network;
  at::Device device = at::kCPU;
  model::Products products = model::Products::float32;
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
        .param("least_past", &P::least_past,
               "frames of a clip with fewer before them are seen, but not learned from", graph::at_least(0))
        .unit("frames")
        .param("huber", &P::huber,
               "error of a frame, root mean square, from which on it counts as it is, not by its square; 0: "
               "never",
               graph::at_least(0))
        .param(
            "products", &P::products,
            "of matrices on the CPU: float32, or auto: where there is AMX on that, each number as the sum of "
            "two of bfloat16",
            graph::one_of({"auto", "float32"}))
        .shared("device", &P::device, "where to compute; auto takes a GPU when there is one", devices())
        .block("model", &P::model)
        .on(graph::Executor::thread)
        .add();

}  // namespace
}  // namespace stages
