// python_checkpoint: weights that the reference saved with Python's torch.save, see torch_pickle.h.
#pragma once

#include <filesystem>
#include <optional>

#include "stages/model/config.h"
#include "stages/model/parameters.h"
#include "stages/model/weights_file.h"

namespace model {

// The weights of a Python file, which does not say what they are for. Tables that follow from the config
// must be those of this one and are left out. Float32 on the CPU, in the network's order. Throws as above, and
// when they are not the config's (see match()).
Parameters load_python(const std::filesystem::path& path, const Config& config);

// Weights of either kind. `config` is what they are for where the file itself does not say: Python checkpoints and
// foreign safetensors. Throws as load_python() and load() do, and when the file says otherwise.
WeightsFile load_weights(const std::filesystem::path& path, const std::optional<Config>& config);

}  // namespace model
