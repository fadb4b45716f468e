// optimizer: first weights, and states that runs go on from.
#include "stages/train/optimizer.h"

#include <spdlog/spdlog.h>
#include <torch/types.h>

#include <algorithm>
#include <utility>

#include "stages/find_checkpoint.h"
#include "stages/model/mmdit.h"
#include "stages/model/python_checkpoint.h"
#include "stages/model/torch_pickle.h"
#include "stages/model/train_state_file.h"
#include "stages/model/weights_file.h"
#include "stages/train/resume_file.h"

namespace stages {
namespace {

// For a network that is told more past actions than the one that these weights are of: at first to no effect.
model::Parameters with_past_actions(const model::Parameters& weights, const model::Mmdit& network) {
  model::Parameters told;
  for (const auto& [name, sizes] : network.layout()) {
    at::Tensor tensor = at::zeros(sizes);
    if (weights.contains(name)) {
      const at::Tensor& old = weights.at(name);
      tensor.narrow(0, 0, old.size(0)).copy_(old);
    }
    told.add(name, tensor);
  }
  return told;
}

model::Parameters read_weights(const OptimizerParams& params, const std::string& stage) {
  const auto path = find_checkpoint(params.init, stage + ".init");
  auto file = model::is_python(path) ? model::load_weights(path, params.model) : model::load(path);
  // How weights were drawn once, and how much of the past they are shown, does not make them others, where they hold
  // nothing for each frame of it.
  file.config.init = params.model.init;
  if (params.model.rope_type != "learn") file.config.n_window = params.model.n_window;
  file.config.n_past_actions = std::max(file.config.n_past_actions, params.model.n_past_actions);
  if (!(file.config == params.model))
    throw graph::Error("init: " + path.generic_string() + " is another model: " + file.config.to_json() +
                       ", this run's is " + params.model.to_json());
  spdlog::info("starting from {}", path.generic_string());
  return with_past_actions(file.parameters, model::Mmdit(params.model));
}

}  // namespace

model::Parameters first_weights(const OptimizerParams& params, const std::string& stage) {
  const auto weights =
      params.init.empty() ? model::Mmdit(params.model).initialise(params.seed) : read_weights(params, stage);
  return weights.to(device_of(params.device), at::kFloat);
}

std::shared_ptr<const model::TrainState> last_state(const OptimizerParams& params,
                                                    const std::string& optimizer, const graph::Run& run) {
  const auto path = resume_file(run.folder());
  auto file = model::load_train_state(path);
  if (!(file.config == params.model) || file.state->step != static_cast<std::int64_t>(run.first()))
    throw graph::Error(path.generic_string() + " is not this run's state");
  if (file.state->optimizer != optimizer)
    throw graph::Error(path.generic_string() + " is the state of a run with '" + file.state->optimizer +
                       "', whose moments mean nothing to '" + optimizer +
                       "'; go on with that, or start a new run with init: " + run.folder().generic_string());
  const auto device = device_of(params.device);
  for (auto* each : {&file.state->weights, &file.state->ema}) *each = each->to(device, at::kFloat);
  for (auto* moments : {&file.state->first, &file.state->second})
    for (auto& tensor : *moments)
      if (tensor.defined()) tensor = tensor.to(device);
  return file.state;
}

}  // namespace stages
