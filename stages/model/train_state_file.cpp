// train_state_file: tensors by prefix.
#include "stages/model/train_state_file.h"

#include <torch/types.h>

#include <charconv>
#include <stdexcept>
#include <string>

#include "stages/model/muon.h"
#include "stages/model/safetensors.h"

namespace model {
namespace {

constexpr const char *step_key = "step", *optimizer_key = "optimizer";

void put(Parameters& all, const std::string& prefix, const std::vector<std::string>& names,
         const std::vector<at::Tensor>& tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].defined()) all.add(prefix + names[i], tensors[i]);
}

}  // namespace

void save_train_state(const std::filesystem::path& path, const Config& config, const TrainState& state,
                      Facts facts) {
  TensorFile file;
  const auto& names = state.weights.names;
  put(file.tensors, "weights.", names, state.weights.tensors);
  put(file.tensors, "ema.", names, state.ema.tensors);
  put(file.tensors, "first.", names, state.first);
  put(file.tensors, "second.", names, state.second);
  file.metadata = std::move(facts);
  file.metadata[config_key] = config.to_json();
  file.metadata[step_key] = std::to_string(state.step);
  file.metadata[optimizer_key] = state.optimizer;
  write_safetensors(path, file);
}

TrainStateFile load_train_state(const std::filesystem::path& path) {
  auto file = read_safetensors(path);
  const auto fail = [&](const std::string& what) {
    throw std::runtime_error(path.string() + ": " + what + ", expected the state of a training run");
  };
  const auto config = file.metadata.extract(config_key), step = file.metadata.extract(step_key);
  if (!config || !step) fail("no 'model' and 'step' in its metadata");
  TrainStateFile result;
  try {
    result.config = Config::from_json(config.mapped());
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(path.string() + ": " + error.what());
  }
  result.state = std::make_shared<TrainState>();
  auto& state = *result.state;
  const auto optimizer = file.metadata.extract(optimizer_key);
  state.optimizer = optimizer ? optimizer.mapped() : Muon::name;
  const auto& text = step.mapped();
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), state.step);
  if (code != std::errc{} || end != text.data() + text.size() || state.step < 0)
    fail("its step is '" + text + "'");

  Parameters of[4];
  const std::string prefixes[] = {"weights.", "ema.", "first.", "second."};
  for (std::size_t i = 0; i < file.tensors.size(); ++i)
    for (std::size_t kind = 0; kind < 4; ++kind)
      if (const auto& name = file.tensors.names[i]; name.starts_with(prefixes[kind]))
        of[kind].add(name.substr(prefixes[kind].size()), file.tensors.tensors[i]);
  state.weights = match(result.config, of[0], path.string());
  if (!of[1].empty()) state.ema = match(result.config, of[1], path.string());
  for (std::size_t i = 0; i < state.weights.size(); ++i) {
    const auto& name = state.weights.names[i];
    const auto& weight = state.weights.tensors[i];
    const auto moment = [&](const Parameters& all) {
      if (!all.contains(name) || all.at(name).sizes() != weight.sizes()) fail("no moments for " + name);
      return all.at(name);
    };
    state.first.push_back(moment(of[2]));
    const bool one_moment = state.optimizer == Muon::name && updated_by_muon(name, weight);
    state.second.push_back(one_moment ? at::Tensor() : moment(of[3]));
  }
  result.facts = std::move(file.metadata);
  return result;
}

}  // namespace model
