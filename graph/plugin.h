// plugin: stages in a shared object outside this program.
//
//   plugins: [my_stages/build/sine_noise.so]      # at the top of a pipeline
//
// The object registers its stages as those of the program do, and calls into the program that loads it. So both must
// have come from the same headers, compiler and libtorch: worldline-config.cmake writes those as a text into every
// plugin, and that is read out of the file before any code in it runs.
//
// A plugin may do all that the user may. Nothing but the pipeline that a user names, and --set, can ask for one.
#pragma once

#include <filesystem>

#include "graph/value.h"

namespace graph {

/// Loads the shared objects that `list` names, each once in a process, and lets their stages and blocks into the
/// registries. Relative paths begin at `folder`. Gives the list with whole paths. Throws Error with every problem; of
/// an object that is refused nothing stays. Not to be called while other threads read the registries.
Value load_plugins(const Value& list, const std::filesystem::path& folder = {});

}  // namespace graph
