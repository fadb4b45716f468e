// taps: what `taps:` and `inject:` in a pipeline stand for.
#pragma once

#include "graph/value.h"

namespace tools {

/// Turns both lists of a merged pipeline into stages of the types publish and inject. Throws graph::Error with every
/// problem of the lists; what stages say of each other stays for the loader to judge.
void expand_taps(graph::Value& merged);

}  // namespace tools
