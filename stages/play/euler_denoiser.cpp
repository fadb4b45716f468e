// euler_denoiser: dreams the next frame of every player, by Euler steps from noise.
//
//   z ~ N(0, 1) at t = 1;   z += (t_i - t_{i+1}) v(z, t_i)   for the levels 1 = t_0 > … > t_steps = 0
//
// The network sees a player's last n_window-1 frames through a cache of keys and values. What the cache keeps of
// a finished frame is `commit`:
//
//   last_step   the last Euler step's input, as the reference does: free, but at few steps still half noise
//   clean       one more pass over the finished frame, labelled with the level context_noise
//   renoised    one more pass over the frame noised to context_noise, labelled so
//
// For the last two the frame is first clamped and rounded to 8 bits, so that what the network remembers is what
// the player saw, and errors below a shade cannot add up.
//
// Source: Liu et al. 2022 arXiv:2209.03003 (Euler on a flow) · Esser et al. 2024 arXiv:2403.03206 (the shift)
#include <spdlog/spdlog.h>
#include <torch/types.h>

#include <optional>
#include <vector>

#include "graph/stage.h"
#include "stages/data/pixels.h"
#include "stages/model/mmdit.h"
#include "stages/model/schedule.h"
#include "stages/model/weights_file.h"
#include "stages/play/find_checkpoint.h"
#include "stages/random.h"
#include "stages/settings.h"
#include "stages/types.h"

namespace stages {
namespace {

struct EulerDenoiser {
  struct Params {
    std::string checkpoint;
    int steps = 4;
    double shift = 3;
    std::string commit = "renoised";
    double context_noise = 0.1;
    std::uint64_t seed = 0;
    std::string device = "auto";
  };

  void start(const graph::Context& context) {
    const auto path = find_checkpoint(params.checkpoint, context.stage);
    auto file = model::load(path);
    device = device_of(params.device);
    network.emplace(file.config);
    weights = file.parameters.to(device, at::kFloat);
    spdlog::info("playing {} ({} parameters)", path.generic_string(), weights.count());
  }

  Patches operator()(const Turn& turn, const graph::Context& context) {
    const at::NoGradGuard no_gradients;
    const auto& sizes = network->config();
    const auto S = turn.action.size(0);
    while (static_cast<std::int64_t>(caches.size()) < S) caches.emplace_back(sizes, device);
    std::vector<model::KvCache*> rows;
    for (auto& cache : caches) rows.push_back(&cache);

    const auto random = generator(params.seed, context.number, "euler_denoiser");
    const auto noise = [&] {
      return torch::randn({S, sizes.patches(), sizes.patch_dim()}, random).to(device);
    };
    const auto action = turn.action.to(device);
    const auto levels = model::shifted_linear(params.steps, params.shift);
    auto z = noise();
    for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
      const auto t = torch::full({S}, levels[i], z.options());
      const bool keep = params.commit == "last_step" && i + 2 == levels.size();
      const auto prediction = network->forward_cached(weights, z, t, action, rows, keep);
      z = z + (levels[i] - levels[i + 1]) * network->velocity(prediction, z, t);
    }
    if (params.commit != "last_step") {
      const auto background = background_of(sizes);
      const auto pixels = z.view({S, sizes.patches(), -1, sizes.in_channels});  // [S,P,D] → [S,P,p·p,C]
      z = from_bytes(to_bytes(pixels, background), background).view_as(z);
      const auto level = params.context_noise;
      const auto seen = params.commit == "renoised" ? (1 - level) * z + level * noise() : z;
      network->forward_cached(weights, seen, torch::full({S}, level, z.options()), action, rows, true);
    }
    return {z.unsqueeze(1).cpu(), turn.action.unsqueeze(1), sizes.height,
            sizes.width,          sizes.patch_size,         background_of(sizes)};
  }

  Params params;
  at::Device device = at::kCPU;
  std::optional<model::Mmdit> network;
  model::Parameters weights;
  std::vector<model::KvCache> caches;  // one a player
};

using P = EulerDenoiser::Params;
const bool registered =
    graph::Stage<EulerDenoiser>("euler_denoiser")
        .summary("dream the next frame by Euler steps from noise")
        .in("turn", "action [S] of every player")
        .out("patches", "x [S,1,P,D] in about [-1,1], action [S,1]")
        .param("checkpoint", &P::checkpoint, "a weights file, or a run folder for its newest")
        .param("steps", &P::steps, "Euler steps a frame", graph::between(1, 1000))
        .live()
        .param("shift", &P::shift, "above 1 spends more steps near noise", graph::above(0))
        .live()
        .param("commit", &P::commit, "what the cache keeps of a frame",
               graph::one_of({"last_step", "clean", "renoised"}))
        .param("context_noise", &P::context_noise, "noise level of what clean and renoised keep",
               graph::between(0, 1))
        .shared("seed", &P::seed, "same seed and actions, same dream")
        .shared("device", &P::device, "where to compute; auto takes a GPU when there is one", devices())
        .on(graph::Executor::thread)
        .add();

}  // namespace
}  // namespace stages
