// peak: how fast this machine multiplies matrices, in single precision.
#pragma once

namespace tools {

/// In GFLOP/s.
struct Peak {
  double all_cores = 0, one_core = 0;
};

/// Of the fastest of several sizes and runs, a few seconds in all. With all cores, each multiplies matrices of its own.
Peak measure_peak();

}  // namespace tools
