// check: ends the run when two streams that should agree do not.
//
// Feed it the same noun twice, from the stage in question and from one that is trusted. The first number that
// differs by more than the tolerance, a NaN, or another shape is an error that names the message.
#include <torch/types.h>

#include "graph/stage.h"
#include "stages/debug/tensors_of.h"

namespace stages {
namespace {

struct Check {
  struct Params {
    double tolerance = 1e-5;
  };

  void operator()(const graph::Any& left, const graph::Any& right) const {
    const auto a = tensors_of(left), b = tensors_of(right);
    if (!(left.type() == right.type()))
      throw graph::Error("cannot compare " + left.type().name + " with " + right.type().name);
    for (std::size_t i = 0; i < a.size(); ++i) compare(a[i].first, a[i].second, b[i].second);
  }

  void compare(const std::string& name, const at::Tensor& a, const at::Tensor& b) const {
    const auto shape = [](const at::Tensor& x) {
      std::string text;
      for (const auto size : x.sizes()) text += (text.empty() ? "" : ",") + std::to_string(size);
      return "[" + text + "]";
    };
    if (a.sizes() != b.sizes())
      throw graph::Error("'" + name + "' has shape " + shape(a) + " on the left and " + shape(b) +
                         " on the right");
    if (a.numel() == 0) return;
    const auto worst = (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
    // Written so that a NaN does not pass.
    if (!(worst <= params.tolerance))
      throw graph::Error("'" + name + "' differs by " + std::to_string(worst) + ", more than " +
                         std::to_string(params.tolerance));
  }

  Params params;
};

const bool registered =
    graph::Stage<Check>("check")
        .summary("end the run when two streams differ")
        .in("left", "anything that has tensors")
        .in("right", "the same noun")
        .param("tolerance", &Check::Params::tolerance, "largest difference of a number", graph::at_least(0))
        .add();

}  // namespace
}  // namespace stages
