// bench_graph: what the engine itself costs a message.
#pragma once

#include <cstdint>

namespace tools {

/// Wall time of Engine::run() divided by messages x stages, over `runs` runs.
struct GraphBench {
  double ns_per_message_stage_median = 0, min = 0, max = 0;
};

/// Sends `messages` integers from a source through a chain of `stages` cpu stages, each adding 1; a sink after
/// them adds up what arrives. Source and sink work too but do not count as stages, so the figure is on the high
/// side. Bodies cost next to nothing: what is measured are the mailboxes, credits, wake-ups and TBB's tasks.
/// Throws graph::Error when a message was lost.
GraphBench bench_graph(int stages, int in_flight, std::uint64_t messages, int runs);

}  // namespace tools
