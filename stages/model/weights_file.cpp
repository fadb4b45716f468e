// weights_file: a network on disk, its parameters and the config that they belong to.
#include "stages/model/weights_file.h"

#include <torch/types.h>

#include <stdexcept>
#include <vector>

#include "stages/model/mmdit.h"
#include "stages/model/safetensors.h"
#include "stages/model/text_file.h"

namespace model {
namespace {

// "a, b, c and 5 more"
std::string listed(const std::vector<std::string>& items) {
  constexpr std::size_t shown = 8;
  std::string text;
  for (std::size_t i = 0; i < items.size() && i < shown; ++i) text += (i ? ", " : "") + items[i];
  if (items.size() > shown) text += " and " + std::to_string(items.size() - shown) + " more";
  return text;
}

}  // namespace

Parameters match(const Config& config, const Parameters& parameters, const std::string& where,
                 const Shapes& ignored) {
  Parameters matched;
  std::map<std::string_view, const at::Tensor*> found;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    found.emplace(parameters.names[i], &parameters.tensors[i]);
  }
  std::vector<std::string> missing, extra, reshaped, broken;
  const Mmdit network(config);
  for (const auto& [name, sizes] : network.layout()) {
    const auto node = found.extract(name);
    if (!node) {
      missing.push_back(name);
      continue;
    }
    const at::Tensor& tensor = *node.mapped();
    if (tensor.sizes() != sizes) {
      reshaped.push_back(name + " is " + printable(c10::str(tensor.sizes())) + " instead of " +
                         c10::str(at::IntArrayRef(sizes)));
      continue;
    }
    if (!is_finite(tensor)) broken.push_back(name);
    matched.add(name, tensor.to(at::kFloat).contiguous());
  }
  for (const auto& [name, tensor] : found) {
    const auto expected = ignored.find(std::string(name));
    if (expected == ignored.end())
      extra.push_back(printable(name));
    else if (tensor->sizes() != expected->second)
      reshaped.push_back(std::string(name) + " is " + printable(c10::str(tensor->sizes())) + " instead of " +
                         c10::str(at::IntArrayRef(expected->second)));
  }
  std::string wrong;
  if (!missing.empty()) wrong += "; missing: " + listed(missing);
  if (!extra.empty()) wrong += "; too many: " + listed(extra);
  if (!reshaped.empty()) wrong += "; of another shape: " + listed(reshaped);
  if (!wrong.empty()) throw std::runtime_error(where + ": not the weights of its config" + wrong);
  if (!broken.empty())
    throw std::runtime_error(where + ": numbers that are not finite in " + listed(broken) +
                             ", expected weights of a training that has not diverged");
  return matched;
}

void save(const std::filesystem::path& path, const Config& config, const Parameters& parameters,
          const Facts& facts) {
  const Mmdit network(config);
  const std::vector<Shape>& layout = network.layout();
  for (std::size_t i = 0; i < layout.size() || i < parameters.size(); ++i) {
    if (i >= layout.size() || i >= parameters.size() || parameters.names[i] != layout[i].name ||
        parameters.tensors[i].sizes() != layout[i].sizes) {
      throw std::invalid_argument("save " + path.string() + ": parameter " + std::to_string(i) +
                                  " is not the one that the config calls for there");
    }
  }
  Facts metadata = facts;
  if (!metadata.emplace(config_key, config.to_json()).second) {
    throw std::invalid_argument("save " + path.string() +
                                ": a fact is named 'model', which holds the config");
  }
  write_safetensors(path, {parameters, std::move(metadata)});
}

WeightsFile load(const std::filesystem::path& path) {
  TensorFile file = read_safetensors(path);
  const auto found = file.metadata.extract(config_key);
  if (!found) {
    throw std::runtime_error(
        path.string() +
        ": no 'model' in its metadata, expected a weights file with the config that it is for");
  }
  WeightsFile weights;
  try {
    weights.config = Config::from_json(found.mapped());
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(path.string() + ": " + error.what());
  }
  weights.parameters = match(weights.config, file.tensors, path.string());
  weights.facts = std::move(file.metadata);
  return weights;
}

}  // namespace model
