// parameters: named tensors in a fixed order, the form in which weights and gradients travel.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace model {

// A value: copies share the tensors, and nobody writes into a tensor once it is in here. names[i] names
// tensors[i]; the order is Mmdit::layout()'s and the names are the reference's.
struct Parameters {
  std::vector<std::string> names;
  std::vector<at::Tensor> tensors;

  std::size_t size() const { return tensors.size(); }
  bool empty() const { return tensors.empty(); }
  void add(std::string name, at::Tensor tensor);

  // Throws std::invalid_argument when there is no such name.
  const at::Tensor& at(std::string_view name) const;
  bool contains(std::string_view name) const;

  // Numbers in all tensors together.
  std::int64_t count() const;

  // The same values elsewhere or in another type; tensors that are there already are shared.
  Parameters to(at::Device device, at::ScalarType dtype) const;

  // The same storage as fresh autograd leaves. Every thread that differentiates takes its own, so that no two
  // backward passes meet in one tensor.
  Parameters leaves() const;
};

// Whether no number in it is infinite or none at all.
bool is_finite(const at::Tensor& tensor);

}  // namespace model
