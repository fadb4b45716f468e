// train_state: all that training continues from.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "stages/model/parameters.h"

namespace model {

// Immutable once published.
struct TrainState {
  std::string optimizer;  // whose moments these are: "muon", "adamw"
  std::int64_t step = 0;  // optimizer steps taken
  Parameters weights;
  Parameters ema;                  // running mean of the weights, for playing; empty when off
  std::vector<at::Tensor> first;   // per parameter: the momentum m
  std::vector<at::Tensor> second;  // per parameter: Adam's v; an undefined tensor where Muon rules
};

}  // namespace model
