// parallel: spreads parts of a kernel over the cores of the arena that it runs in.
#include "stages/model/kernels/parallel.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <cstddef>

namespace model::kernels {

void spread(std::int64_t parts, double flop_of_part, Body body) {
  constexpr double worth = 5e5;
  if (static_cast<double>(parts) * flop_of_part < 2 * worth) return body(0, parts);
  const auto grain = static_cast<std::size_t>(worth / flop_of_part) + 1;
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(
        tbb::blocked_range<std::int64_t>(0, parts, grain),
        [&](const tbb::blocked_range<std::int64_t>& range) { body(range.begin(), range.end()); });
  });
}

}  // namespace model::kernels
