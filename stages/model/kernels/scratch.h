// scratch: memory of a thread's own that kernels write into and forget.
#pragma once

#include <cstdint>

namespace model::kernels {

// Who writes into it. No function calls another that wants the same.
enum class Scratch {
  scores,
  score_gradients,
  keys,
  values,
  gradients,
  along,
  panels,
  left,
  heads,
  stem,
  pass
};

// At least `count` floats, aligned to a cache line, with whatever is in them. Each is one piece of memory, which grows
// and stays until the thread ends; so a kernel that comes again with the same sizes allocates nothing.
float* scratch(Scratch whose, std::int64_t count);

}  // namespace model::kernels
