// tiny_model: a small network that has learned nothing, for tests of what is done with one.
#pragma once

#include <cstdint>
#include <filesystem>

#include "stages/model/mmdit.h"
#include "stages/model/weights_file.h"

namespace tests {

/// tiny_model() as a pipeline's `model:` says it, but for what it predicts.
inline constexpr const char* tiny_sizes =
    "d_model: 32, n_heads: 2, n_blocks: 2, patch_size: 6, n_window: 4, n_past_actions: 2, "
    "stem: linear";

inline model::Config tiny_model() {
  model::Config config;
  config.d_model = 32;
  config.n_heads = 2;
  config.n_blocks = 2;
  config.patch_size = 6;
  config.n_window = 4;
  config.n_past_actions = 2;
  config.stem = "linear";
  config.predicts = "data";
  return config;
}

/// A file of fresh weights.
inline void save_fresh(const std::filesystem::path& path, const model::Config& config = tiny_model(),
                       std::uint64_t seed = 3) {
  model::save(path, config, model::Mmdit(config).initialise(seed));
}

}  // namespace tests
