// speed: frames a second of a network, and what these are in tokens, arithmetic and shares of the machine's peak.
#include "tools/speed.h"

#include "tools/figures.h"
#include "tools/memory.h"

namespace tools {

Speed speed_of(const BenchSetup& setup, double frames_per_second, double flop_per_frame) {
  const auto gflop = 1e-9 * flop_per_frame;
  return {.frames_per_second = frames_per_second,
          .tokens_per_second = frames_per_second * static_cast<double>(setup.model.tokens()),
          .gflop_per_frame = gflop,
          .share_of_peak = frames_per_second * gflop / setup.peak.all_cores,
          .peak_memory_gb = peak_memory_gb()};
}

std::vector<std::string> speed_heads() {
  return {"frames/s", "tokens/s", "GFLOP/frame", "share of peak", "memory, GB"};
}

std::vector<std::string> cells_of(const Speed& speed) {
  return {fixed(speed.frames_per_second, 1), fixed(speed.tokens_per_second, 0),
          fixed(speed.gflop_per_frame, 3), percent(speed.share_of_peak), fixed(speed.peak_memory_gb, 2)};
}

nlohmann::json to_json(const Speed& speed) {
  return {{"frames_per_second", speed.frames_per_second},
          {"tokens_per_second", speed.tokens_per_second},
          {"gflop_per_frame", speed.gflop_per_frame},
          {"share_of_peak", speed.share_of_peak},
          {"peak_memory_gb", speed.peak_memory_gb}};
}

}  // namespace tools
