// scheduled_sampling: replace the end of some clips' past by what the network itself dreams for them.
//
//   d_i = x̂0(z, t = 1 | the past before i)    z ~ N(0, 1), frame after frame, each upon those dreamed before it
//
// and d_i stands in the past at the level of noise that the clip's own frame had there. What is to be predicted stays
// the data: so the network learns to go on rightly from frames that are its own, as in play, where else it would meet
// them for the first time. Of clips that chance picks, the n frames before the last are dreamed, n uniform in 1 … `frames`
// and the same for all clips of a batch. A frame whose action is hidden stays the clip's.
//
// It works with the weights of the step before, on clips with a given past (see noise.h), and begins at a share of the
// run: there is nothing to learn from the dreams of a network that knows little.
//
// Sources: Bengio et al. 2015 arXiv:1506.03099 · Huang et al. 2025 arXiv:2506.08009 (dreams upon dreams, with a cache)
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
#include "stages/train/noise.h"
#include "stages/types.h"

namespace stages {
namespace {

struct ScheduledSampling {
  struct Params {
    double share = 0, begin = 0.5;
    std::int64_t frames = 16, micro_batch = 2;
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
    if (params.share == 0) return batch;
    const auto T = batch.past;
    if (T == 0)
      throw graph::Error(
          "these clips have no past of their own; set context: given of the noise, or share: 0");
    if (params.frames > T - 2)
      throw graph::Error("of clips of " + std::to_string(T) + " frames at most " + std::to_string(T - 2) +
                         " can be dreamed, `frames` is " + std::to_string(params.frames) +
                         "; set it lower, or longer clips, or share: 0");
    if (context.progress() < params.begin) return batch;
    const auto random = generator(params.seed, context.number, "scheduled_sampling");
    const auto clips = (torch::rand({batch.t.size(0)}, random) < params.share).nonzero().flatten();
    const auto first = T - 1 - torch::randint(1, params.frames + 1, {}, random).item<std::int64_t>();
    const auto K = clips.size(0), parts = (K + params.micro_batch - 1) / params.micro_batch;
    const auto [x0, z] = parts_of(batch);
    const auto past_of = [&](const at::Tensor& all) { return all.narrow(1, 0, T).index_select(0, clips); };
    const Past past{past_of(x0), past_of(z), past_of(batch.t), past_of(batch.action)};
    const auto begins = torch::randn(past.x0.sizes(), random, past.x0.options());
    const auto packed = network->pack(weights.parameters);
    arena.execute([&] {
      tbb::parallel_for(std::int64_t{0}, parts, [&](std::int64_t part) {
        const auto begin = part * params.micro_batch, end = std::min(begin + params.micro_batch, K);
        if (!context.stopping()) dream(*packed, past.rows(begin, end), begins.slice(0, begin, end), first);
      });
    });
    if (context.stopping()) return batch;
    x0.narrow(1, 0, T).index_copy_(0, clips, past.x0);
    return with_parts(batch, {x0, z});
  }

  // Of K clips.
  struct Past {
    at::Tensor x0, z;      // [K,T,P,D]
    at::Tensor t, action;  // [K,T]

    Past rows(std::int64_t begin, std::int64_t end) const {
      return {x0.slice(0, begin, end), z.slice(0, begin, end), t.slice(0, begin, end),
              action.slice(0, begin, end)};
    }
    // [K,frames,P,D] of the frames from `first` on, as the network is shown them.
    at::Tensor remembered(std::int64_t first, std::int64_t frames) const {
      const auto data = x0.narrow(1, first, frames);
      const auto level = t.narrow(1, first, frames).unsqueeze(-1).unsqueeze(-1);
      return data + level * (z.narrow(1, first, frames) - data);
    }
  };

  // Puts dreams that begin with this noise [K,T,P,D] into past.x0 from frame `first` on; at the last frame nobody looks.
  void dream(const model::Mmdit::Packed& weights, const Past& past, const at::Tensor& begins,
             std::int64_t first) const {
    const at::NoGradGuard no_gradients;
    const auto K = begins.size(0), end = begins.size(1) - 1,
               seen = std::min(first, params.model.n_window - 1);
    std::vector<model::KvCache> caches;
    for (std::int64_t k = 0; k < K; ++k) caches.emplace_back(params.model, device);
    std::vector<model::KvCache*> rows;
    for (auto& cache : caches) rows.push_back(&cache);
    const auto frame = [&](const at::Tensor& all, std::int64_t i) { return all.select(1, i).to(device); };
    const auto before = [&](const at::Tensor& all) { return all.narrow(1, first - seen, seen).to(device); };
    if (seen > 0)
      network->prefill(weights, past.remembered(first - seen, seen).to(device), before(past.t),
                       before(past.action), rows);
    for (auto i = first; i < end; ++i) {
      const auto x = frame(begins, i), t = torch::ones({K}, x.options()), action = frame(past.action, i);
      const auto prediction = network->forward_cached(weights, x, t, action, rows, false);
      // At t = 1 a velocity is the way to the data. What an action that is hidden does, nobody can know.
      const auto dreamed = (x + network->velocity(prediction, x, t)).clamp(-1, 1).cpu();
      const auto is_hidden = past.action.select(1, i).eq(0).view({K, 1, 1});
      auto own = past.x0.select(1, i);
      own.copy_(torch::where(is_hidden, own, dreamed));
      network->forward_cached(weights, past.remembered(i, 1).squeeze(1).to(device), frame(past.t, i), action,
                              rows, true);
    }
  }

  Params params;
  std::optional<model::Mmdit> network;
  at::Device device = at::kCPU;
  tbb::task_arena arena;
};

using P = ScheduledSampling::Params;
const bool registered =
    graph::Stage<ScheduledSampling>("scheduled_sampling")
        .summary("replace the end of some clips' past by the network's own dreams")
        .in("batch", "clips with a past, x_t [B,2T,P,D]")
        .in("weights", "the parameters that dream")
        .out("sampled", "the same with some of the past dreamed")
        .param("share", &P::share, "of clips, whose past ends with dreams; 0 passes them on as they are",
               graph::between(0, 1))
        .param("begin", &P::begin, "share of the run before it begins", graph::between(0, 1))
        .param("frames", &P::frames, "most frames that are dreamed one after the other, at a clip's end",
               graph::between(1, 4096))
        .unit("frames")
        .param("micro_batch", &P::micro_batch, "clips that one core works on at a time", graph::at_least(1))
        .shared("seed", &P::seed, "same seed, same choices")
        .shared("device", &P::device, "where to compute; auto takes a GPU when there is one", devices())
        .block("model", &P::model)
        .on(graph::Executor::thread)
        .add();

}  // namespace
}  // namespace stages
