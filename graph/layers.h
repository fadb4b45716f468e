// layers: one Value out of a pipeline file, its configs and overrides.
#pragma once

#include "graph/pipeline.h"

namespace graph {

/// Merges the layers of `request` in their order of precedence. `notes` gets a line for each parameter that a
/// change of type made void. Throws Error for what cannot be read or merged.
Value merge_layers(const Request& request, std::vector<std::string>& notes);

}  // namespace graph
