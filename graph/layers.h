// layers: one Value out of a pipeline file, its configs and overrides.
#pragma once

#include "graph/pipeline.h"

namespace graph {

/// Merges the layers of `request` in their order of precedence. `notes` gets a line for each parameter that a
/// change of type made void. Throws Error for what cannot be read or merged.
Value merge_layers(const Request& request, std::vector<std::string>& notes);

/// The right side of "stage.key=value" and of a live change: one YAML value, with `place` throughout.
Value parse_override(const std::string& text, const Place& place);

}  // namespace graph
