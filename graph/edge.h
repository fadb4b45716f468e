// edge: what an edge does when it is full, and what has come over it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace graph {

/// What an edge does with a message that comes while `capacity` others wait.
enum class WhenFull {
  wait,         // cannot happen: credits bound the messages; nothing is dropped
  latest,       // keeps the newest only
  drop_oldest,  // makes room
  drop_newest,  // refuses the newcomer
};

/// Counters of one edge, as seen at one moment.
struct EdgeCounts {
  std::uint64_t arrived = 0;  // messages with a body; tombstones do not count, here and below
  std::uint64_t dropped = 0;  // by the edge's policy, or because a join's other input never sent its partner
  std::uint64_t late = 0;     // came after the stage was over, or waited when it ended
  std::size_t depth = 0, peak = 0;
};

struct EdgeReport {
  std::string from, to;  // "noise.noisy", "gradients.batch"
  WhenFull when_full = WhenFull::wait;
  EdgeCounts counts;
};

}  // namespace graph
