// scheduled_sampling: replace the past of some clips by what the network itself dreams for it.
//
//   d = x̂0(z, t = 1 | the past so far)    z ~ N(0, 1), all frames at once, in one pass
//   past ← d in the clips that chance picks `rounds` times, so that dreams are dreamed upon that deep
//
// and then gives the past its levels of noise again. What is to be predicted stays the data: so the network learns to go
// on rightly from frames that are its own, as in play, where else it would meet them for the first time. Frames
// 0 … least-1 stay the data's, since nothing tells where a ball flies that was seen once.
//
// It works with the weights of the step before, on clips with a given past (see noise.h), and begins at a share of the run,
// when there is something to learn from in its dreams.
//
// Sources: Bengio et al. 2015 arXiv:1506.03099 · Duckworth et al. 2019 arXiv:1906.04331 (in parallel passes)
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <torch/types.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "graph/stage.h"
#include "stages/model/mmdit.h"
#include "stages/random.h"
#include "stages/settings.h"
#include "stages/types.h"

namespace stages {
namespace {

at::Tensor over_patches(const at::Tensor& level) { return level.unsqueeze(-1).unsqueeze(-1); }

struct ScheduledSampling {
  struct Params {
    double share = 0.5, begin = 0.5;
    std::int64_t rounds = 2, least = 4, micro_batch = 4;
    std::uint64_t seed = 0;
    std::string device = "auto";
    model::Config model;
  };

  void start() {
    network.emplace(params.model);
    device = device_of(params.device);
    arena.initialize(workers_of(device));
  }

  NoisyPatches operator()(const NoisyPatches& batch, const Weights& weights, const graph::Context& context) {
    const auto T = batch.past;
    graph::require(T > 0, "these clips have no past of their own; set context: given of the noise");
    if (T <= params.least)
      throw graph::Error("clips of " + std::to_string(T) + " frames have none behind the first " +
                         std::to_string(params.least) + "; expected longer clips, or a smaller `least`");
    if (context.progress() < params.begin) return batch;
    const auto random = generator(params.seed, context.number, "scheduled_sampling");
    const auto s = batch.t.narrow(1, 0, T), action = batch.action.narrow(1, 0, T);
    const auto data = batch.x_t.narrow(1, 0, T) + over_patches(s) * batch.v.narrow(1, 0, T);
    auto x0 = data;
    const auto noise = torch::randn(data.sizes(), random, data.options());
    const auto is_late = torch::arange(T).ge(params.least).unsqueeze(0);
    const auto chosen = (torch::rand({s.size(0), 1}, random) < params.share).logical_and(is_late);  // [B,T]
    for (std::int64_t round = 0; round < params.rounds; ++round) {
      const auto z = torch::randn(data.sizes(), random, data.options());
      const auto past = x0 + over_patches(s) * (noise - x0);
      const auto dreamed = dream(weights.parameters, torch::cat({past, z}, 1),
                                 torch::cat({s, torch::ones_like(s)}, 1), torch::cat({action, action}, 1), T);
      if (context.stopping()) return batch;
      x0 = torch::where(over_patches(chosen), dreamed, data);
    }
    const auto v = x0 - noise;
    return {torch::cat({x0 - over_patches(s) * v, batch.x_t.narrow(1, T, T)}, 1),
            torch::cat({v, batch.v.narrow(1, T, T)}, 1), batch.t, batch.action, T};
  }

  // x [B,2T,P,D], t and action [B,2T] → frames [B,T,P,D] in [-1,1].
  at::Tensor dream(const model::Parameters& weights, const at::Tensor& x, const at::Tensor& t,
                   const at::Tensor& action, std::int64_t T) {
    const auto B = x.size(0), parts = (B + params.micro_batch - 1) / params.micro_batch;
    std::vector<at::Tensor> frames(static_cast<std::size_t>(parts));
    arena.execute([&] {
      tbb::parallel_for(std::int64_t{0}, parts, [&](std::int64_t part) {
        const at::NoGradGuard no_gradients;
        const auto begin = part * params.micro_batch, end = std::min(begin + params.micro_batch, B);
        const auto take = [&](const at::Tensor& all) { return all.slice(0, begin, end).to(device); };
        const auto given = take(x), levels = take(t);
        const auto prediction = network->forward(weights, given, levels, take(action), T);
        const auto z = given.narrow(1, T, T);
        // At t = 1 a velocity is the way to the data.
        frames[static_cast<std::size_t>(part)] =
            (z + network->velocity(prediction, z, levels.narrow(1, T, T))).clamp(-1, 1).cpu();
      });
    });
    return torch::cat(frames);
  }

  Params params;
  std::optional<model::Mmdit> network;
  at::Device device = at::kCPU;
  tbb::task_arena arena;
};

using P = ScheduledSampling::Params;
const bool registered =
    graph::Stage<ScheduledSampling>("scheduled_sampling")
        .summary("replace the past of some clips by the network's own dreams")
        .in("batch", "clips with a past, [B,2T,P,D]")
        .in("weights", "that dream")
        .out("sampled", "the same with some of the past dreamed")
        .param("share", &P::share, "of clips, whose past is dreamed", graph::between(0, 1))
        .param("begin", &P::begin, "share of the run before it begins", graph::between(0, 1))
        .param("rounds", &P::rounds, "how deep dreams are dreamed upon; each costs a pass without gradients",
               graph::between(1, 64))
        .param("least", &P::least, "first frames of the past that stay the data's", graph::between(1, 4096))
        .param("micro_batch", &P::micro_batch, "clips that one core works on at a time", graph::at_least(1))
        .shared("seed", &P::seed, "same seed, same choices")
        .shared("device", &P::device, "where to compute; auto takes a GPU when there is one", devices())
        .block("model", &P::model)
        .on(graph::Executor::thread)
        .add();

}  // namespace
}  // namespace stages
