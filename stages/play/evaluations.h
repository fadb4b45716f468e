// evaluations: what a dreamed frame costs, so that solvers can be compared at equal cost.
#pragma once

#include <optional>

#include "graph/value.h"

namespace stages {

/// Evaluations of the network for a player's frame (NFE): the solver's, and the commit's where it takes one. Where there
/// is guidance, with and without the action are two. `denoiser` is the stage in a merged pipeline, defaults included;
/// nothing for a stage of another type than this project's denoisers.
std::optional<int> evaluations_per_frame(const graph::Value& denoiser);

}  // namespace stages
