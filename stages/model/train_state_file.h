// train_state_file: all that training continues from, on disk.
//
// A safetensors file: weights, their running mean and the optimizer's moments under `weights.`, `ema.`, `first.`
// and `second.`, the config under the metadata key `model`, the step under `step`, whose moments they are under
// `optimizer` (muon's where that is missing). What is read back is what was written, to the last bit.
#pragma once

#include <filesystem>
#include <memory>

#include "stages/model/config.h"
#include "stages/model/train_state.h"
#include "stages/model/weights_file.h"

namespace model {

struct TrainStateFile {
  Config config;
  std::shared_ptr<TrainState> state;  // on the CPU
  Facts facts;                        // whatever else the writer put beside
};

// Atomic, as write_safetensors.
void save_train_state(const std::filesystem::path& path, const Config& config, const TrainState& state,
                      Facts facts = {});

// Throws std::runtime_error with one line when the file is broken or holds something else.
TrainStateFile load_train_state(const std::filesystem::path& path);

}  // namespace model
