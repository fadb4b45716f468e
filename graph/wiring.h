// wiring: `from:` lines become edges that are known to fit.
#pragma once

#include "graph/pipeline.h"

namespace graph {

/// Fills in pipeline.edges and in_flight from the `from:` and `in_flight:` of each stage in `stages` (a map
/// from name to stage) and sorts the stages upstream first. `pipeline.stages` holds those whose type is known.
/// Adds to `problems`: loose, unread and unknown ports, types that do not fit, undeclared cycles, stages that no
/// source leads to, joins and feedback that could wait for ever, edges without a bound.
void wire(Pipeline& pipeline, const Value& stages, std::vector<Problem>& problems);

}  // namespace graph
