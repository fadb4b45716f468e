// tensors_of: the tensors inside a message, by name, whatever noun it is.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "graph/message.h"

namespace stages {

/// Names as in types.h. Throws graph::Error for a noun that has no tensors.
std::vector<std::pair<std::string, at::Tensor>> tensors_of(const graph::Any& message);

}  // namespace stages
