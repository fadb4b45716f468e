// muon: the optimizer, Muon for the matrices of the blocks and Adam (adamw.h) for everything else.
//
//   m ← lerp(m, g, 1−β)         u = lerp(g, m, β)              β = 0.95 (Nesterov)
//   X = u/‖u‖, then five times  A = X·Xᵀ,  X ← aX + (bA + cA²)X
//                                           (a, b, c) = (3.4445, −4.7750, 2.0315)
//   w ← w·(1 − rate·decay) − rate·√max(1, rows/cols)·X
//
// Source: K. Jordan 2024, github.com/KellerJordan/Muon; the grouping is toy-wm's
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stages/model/stepper.h"

namespace model {

// Learning rates of one step.
struct Rates {
  double muon = 0;
  double adam = 0;
};

// Whether Muon updates this parameter: any tensor of two or more dimensions in `blocks.`, and, as in the
// reference, the learned rotary tables, which its blocks share.
bool updated_by_muon(std::string_view name, const at::Tensor& tensor);

// Newton–Schulz steps: the matrix [rows, cols] with its singular values pulled to about 1. Computed and returned
// in `precision`. A direction in which the matrix is next to nothing grows by up to 3.4445 a step, so in bfloat16
// what comes out there is rounding.
at::Tensor orthogonalise(const at::Tensor& matrix, int steps = 5, at::ScalarType precision = at::kFloat);

// A Stepper with these two rules.
class Muon {
 public:
  static constexpr const char* name = "muon";

  struct Options {
    double momentum = 0.95;
    double beta1 = 0.9;
    double beta2 = 0.95;
    double eps = 1e-10;
    double weight_decay = 1e-5;
    double clip = 10;  // 0: off
    double ema = 0;    // see StepOptions
    int ns_steps = 5;
    std::string ns_precision = "float32";  // float32 | bfloat16 (the reference; slow on a CPU)
  };

  explicit Muon(Options options);

  const Options& options() const { return options_; }

  // The state before the first step.
  std::shared_ptr<const TrainState> start(Parameters weights) const;

  // As Stepper::step, at these learning rates.
  Step step(const std::shared_ptr<const TrainState>& state, const std::vector<at::Tensor>& gradients,
            Rates rates);

 private:
  Options options_;
  Stepper stepper_;
};

}  // namespace model
