// speed: frames a second of a network, and what these are in tokens, arithmetic and shares of the machine's peak.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/benches.h"

namespace tools {

struct Speed {
  double frames_per_second = 0, tokens_per_second = 0, gflop_per_frame = 0, share_of_peak = 0;
  double peak_memory_gb = 0;
};

/// Peak memory is that of now; the peak of arithmetic is that of all cores.
Speed speed_of(const BenchSetup& setup, double frames_per_second, double flop_per_frame);

/// Heads of a Table, and cells to stand under them.
std::vector<std::string> speed_heads();
std::vector<std::string> cells_of(const Speed& speed);

nlohmann::json to_json(const Speed& speed);

}  // namespace tools
