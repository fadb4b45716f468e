// settings: what several stages take from the top of a pipeline, `model:` and `device:`.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "graph/parameter.h"

namespace stages {

/// Values of `device:`.
inline graph::Range devices() { return graph::one_of({"auto", "cpu", "cuda"}); }

/// The device that `auto | cpu | cuda` stands for here. Throws graph::Error when it is not there.
at::Device device_of(const std::string& name);

}  // namespace stages
