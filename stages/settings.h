// settings: what several stages take from the top of a pipeline, `model:` and `device:`.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>

#include "graph/parameter.h"
#include "stages/model/config.h"

namespace stages {

/// Values of `device:`.
inline graph::Range devices() { return graph::one_of({"auto", "cpu", "cuda"}); }

/// The device that `auto | cpu | cuda` stands for here. Throws graph::Error when it is not there.
at::Device device_of(const std::string& name);

/// How many workers compute there side by side, as tbb::task_arena takes it. A GPU is one worker; the cores would only
/// queue for it.
int workers_of(at::Device device);

/// The `model:` block of a config or pipeline file; of a .json file, all of it, as in a weights file. Keys that are
/// absent are as in the reference, `background: zero` included. Throws graph::Error with what is wrong and where.
model::Config read_model(const std::filesystem::path& path);

}  // namespace stages
