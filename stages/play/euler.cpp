// euler: the steps.
#include "stages/play/euler.h"

#include <torch/types.h>

namespace stages {

at::Tensor euler(const Dreamer::Velocity& v, at::Tensor z, const std::vector<double>& levels) {
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) z = z + (levels[i] - levels[i + 1]) * v(z, levels[i]);
  return z;
}

}  // namespace stages
