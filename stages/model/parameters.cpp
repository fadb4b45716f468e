// parameters: named tensors in a fixed order, the form in which weights and gradients travel.
#include "stages/model/parameters.h"

#include <torch/types.h>

#include <algorithm>
#include <stdexcept>

namespace model {

void Parameters::add(std::string name, at::Tensor tensor) {
  names.push_back(std::move(name));
  tensors.push_back(std::move(tensor));
}

const at::Tensor& Parameters::at(std::string_view name) const {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw std::invalid_argument("no parameter is named '" + std::string(name) + "'");
  return tensors[static_cast<std::size_t>(found - names.begin())];
}

bool Parameters::contains(std::string_view name) const {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::int64_t Parameters::count() const {
  std::int64_t sum = 0;
  for (const at::Tensor& tensor : tensors) sum += tensor.numel();
  return sum;
}

Parameters Parameters::to(at::Device device, at::ScalarType dtype) const {
  Parameters moved{names, {}};
  for (const at::Tensor& tensor : tensors) moved.tensors.push_back(tensor.to(device, dtype));
  return moved;
}

Parameters Parameters::leaves() const {
  Parameters leaves{names, {}};
  for (const at::Tensor& tensor : tensors) leaves.tensors.push_back(tensor.detach().requires_grad_());
  return leaves;
}

bool is_finite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

}  // namespace model
