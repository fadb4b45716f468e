// mixture_noise: mix clean patches with Gaussian noise, at levels of several distributions, by weight.
//
//   noise: {type: mixture_noise, weights: {logit_normal: 0.9, uniform: 0.1}, high: 0.1, from: given}
//
// makes a tenth of the frames nearly clean. The kinds are the other samplers without their _noise, and each has its
// own parameters. A frame (a clip, with `per: clip`) takes its level from one of them, at random in proportion to the
// weights, which need not sum to 1. `weights` is one value: a later layer replaces it whole. For what all samplers
// share, see noise.h.
#include <spdlog/fmt/fmt.h>
#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

#include "graph/stage.h"
#include "stages/random.h"
#include "stages/train/noise.h"
#include "stages/train/noise_levels.h"
#include "stages/types.h"

namespace stages {
namespace {

struct AllLevels : LogitNormalLevels, UniformLevels, ModeLevels, CosmapLevels, BetaLevels {};

template <class Levels>
at::Tensor draw(const AllLevels& all, at::IntArrayRef sizes, at::Generator random) {
  const Levels& levels = all;
  return levels.draw(sizes, random);
}

using Draw = at::Tensor (*)(const AllLevels&, at::IntArrayRef, at::Generator);
const std::map<std::string, Draw> kinds{{"beta", &draw<BetaLevels>},
                                        {"cosmap", &draw<CosmapLevels>},
                                        {"logit_normal", &draw<LogitNormalLevels>},
                                        {"mode", &draw<ModeLevels>},
                                        {"uniform", &draw<UniformLevels>}};

struct MixtureNoise {
  struct Params : NoiseParams, AllLevels {
    std::map<std::string, double> weights{{"logit_normal", 0.9}, {"uniform", 0.1}};
  };

  void start() const {
    std::vector<std::string> names;
    for (const auto& known : kinds) names.push_back(known.first);
    if (params.weights.empty())
      throw graph::Error("weights: expected at least one of " + graph::join(names) + ", got none");
    for (const auto& [kind, weight] : params.weights) {
      if (!kinds.contains(kind))
        throw graph::Error("weights: unknown kind '" + kind + "'; expected " + graph::join(names, " | "));
      if (weight <= 0)
        throw graph::Error(fmt::format(
            "weights: {} of '{}' is out of range; expected above 0, or leave '{}' out", weight, kind, kind));
    }
  }

  NoisyPatches operator()(const Patches& clean, const graph::Context& context) const {
    const auto random = generator(params.seed, context.number, "mixture_noise");
    const auto t = draw_by_weight(clean.action.sizes(), random);
    return mix(clean, t, params, random);
  }

  at::Tensor draw_by_weight(at::IntArrayRef sizes, at::Generator random) const {
    double all = 0, below = 0;
    for (const auto& each : params.weights) all += each.second;
    const auto choice = all * torch::rand(sizes, random);
    at::Tensor t;
    for (const auto& [kind, weight] : params.weights) {
      const auto drawn = kinds.at(kind)(params, sizes, random);
      t = t.defined() ? torch::where(choice < below, t, drawn) : drawn;
      below += weight;
    }
    return t;
  }

  Params params;
};

const bool registered = [] {
  graph::Stage<MixtureNoise> stage("mixture_noise");
  stage.summary("noise every frame at a level drawn from several distributions, by weight")
      .param("weights", &MixtureNoise::Params::weights,
             "how often each kind is drawn: logit_normal, uniform, mode, cosmap, beta");
  LogitNormalLevels::declare(stage);
  UniformLevels::declare(stage);
  ModeLevels::declare(stage);
  BetaLevels::declare(stage);
  return declare_noise(stage).add();
}();

}  // namespace
}  // namespace stages
