// network_weights: the parameters of the network by what they do in it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "stages/model/config.h"
#include "stages/model/ops.h"
#include "stages/model/parameters.h"
#include "stages/model/patch_embed.h"

namespace model {

struct BlockWeights {
  at::Tensor norm1;           // [d]
  Linear qkv, out;            // d → 3d, d → d
  at::Tensor norm_q, norm_k;  // [d_head]
  at::Tensor norm2;           // [d]
  Linear up, gate, down;      // d → expansion·d (twice), expansion·d → d
  Linear modulation;          // d → 6d
};

struct NetworkWeights {
  at::Tensor registers;           // [registers, d]
  at::Tensor rope_sin, rope_cos;  // learn: [1, n_window·N, 1, d_head]
  std::vector<BlockWeights> blocks;
  PatchEmbedWeights patch;
  at::Tensor norm;          // [d]
  Linear unpatch;           // d → D
  at::Tensor actions;       // [n_actions, d]
  at::Tensor past_actions;  // [n_past_actions, n_actions, d], those of the frame just before first
  Linear noise_level;       // d → d
  Linear modulation;        // d → 2d
};

struct Shape {
  std::string name;
  std::vector<std::int64_t> sizes;
  bool operator==(const Shape&) const = default;
};

// Names and shapes of all parameters, in the reference's order.
std::vector<Shape> layout_of(const Config& config);

// Views of the parameters. Throws std::invalid_argument when they are not those of layout_of().
NetworkWeights bind(const Config& config, const Parameters& parameters);

}  // namespace model
