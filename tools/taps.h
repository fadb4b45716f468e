// taps: what `taps:` and `inject:` in a pipeline stand for.
#pragma once

#include "graph/value.h"

namespace tools {

/// Turns both lists of a merged pipeline into stages of the types publish and inject. Throws graph::Error with every
/// problem. What is not there, or is no such list of a whole pipeline, stays for the loader to judge.
void expand_taps(graph::Value& merged);

}  // namespace tools
