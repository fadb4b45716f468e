// bench_training: pipelines/train.yaml with a config laid over it, for benches of its stages.
#include "tools/bench_training.h"

#include <algorithm>
#include <map>
#include <utility>

#include "graph/error.h"
#include "graph/parameter.h"
#include "graph/stage_type.h"
#include "tools/run_pipeline.h"
#include "tools/taps.h"

namespace tools {
namespace {

graph::Pipeline load(const std::filesystem::path& config, std::vector<std::string> overrides) {
  return graph::load({.file = project_file("pipelines/train.yaml"),
                      .configs = {config},
                      .overrides = std::move(overrides),
                      .expand = expand_taps});
}

}  // namespace

model::Config trained_model(const std::filesystem::path& config) {
  const auto pipeline = load(config, {});
  const auto* values = pipeline.merged.find("model");
  if (!values) throw graph::Error(pipeline.file + " trains no model");
  model::Config network;
  std::vector<graph::Problem> problems;
  graph::decode(graph::blocks().at("model").parameters, {}, &network, *values, "block 'model'", problems);
  if (!problems.empty()) throw graph::Error(std::move(problems));
  return network;
}

const std::vector<std::string>& data_stages() {
  static const std::vector<std::string> all{"clips", "patches", "given", "noise"};
  return all;
}

graph::Pipeline training(const std::filesystem::path& config, std::int64_t batch,
                         const std::vector<std::string>& stages) {
  // Steps without number: the learning rates rise so slowly then that the network stays as it was drawn.
  auto pipeline = load(config, {"device=cpu", "clips.batch=" + std::to_string(batch),
                                "gradients.micro_batch=1", "gradients.least_past=0", "sampled.share=0",
                                "validated.every=1000000000", "stop.steps=1000000000"});
  const auto all = std::exchange(pipeline.stages, {});
  std::map<std::size_t, std::size_t> places;  // among all, among those that stay
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (std::ranges::find(stages, all[i].name) == stages.end()) continue;
    places[i] = pipeline.stages.size();
    pipeline.stages.push_back(all[i]);
  }
  if (pipeline.stages.size() != stages.size())
    throw graph::Error(pipeline.file + " lacks one of the stages " + graph::join(stages));
  std::erase_if(pipeline.edges, [&](const graph::EdgePlan& edge) {
    return !places.contains(edge.from) || !places.contains(edge.to);
  });
  for (auto& edge : pipeline.edges) {
    edge.from = places.at(edge.from);
    edge.to = places.at(edge.to);
  }
  return pipeline;
}

}  // namespace tools
