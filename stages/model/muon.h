// muon: the optimizer, Muon for the matrices of the blocks and Adam for everything else.
//
//   Muon   m ← lerp(m, g, 1−β)         u = lerp(g, m, β)              β = 0.95 (Nesterov)
//          X = u/‖u‖, then five times  A = X·Xᵀ,  X ← aX + (bA + cA²)X
//                                                  (a, b, c) = (3.4445, −4.7750, 2.0315)
//          w ← w·(1 − rate·decay) − rate·√max(1, rows/cols)·X
//   Adam   m ← lerp(m, g, 1−β1)        v ← lerp(v, g², 1−β2)
//          w ← w·(1 − rate·decay) − rate·(m/(1−β1ⁿ)) / (√(v/(1−β2ⁿ)) + eps)
//
// Gradients are first scaled down to a norm of at most `clip`, over all of them together.
//
// Sources: K. Jordan 2024, github.com/KellerJordan/Muon · Kingma & Ba 2015 arXiv:1412.6980 · Loshchilov &
// Hutter 2019 arXiv:1711.05101 (decoupled decay); the grouping is toy-wm's
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stages/model/parameters.h"

namespace model {

// All that training continues from. Immutable once published.
struct TrainState {
  std::int64_t step = 0;  // optimizer steps taken
  Parameters weights;
  Parameters ema;                  // running mean of the weights, for playing; empty when off
  std::vector<at::Tensor> first;   // per parameter: the momentum m
  std::vector<at::Tensor> second;  // per parameter: Adam's v; an undefined tensor where Muon rules
};

// Learning rates of one step.
struct Rates {
  double muon = 0;
  double adam = 0;
};

struct Step {
  std::shared_ptr<const TrainState> state;
  double grad_norm = 0;  // before clipping
};

// Whether Muon updates this parameter: any tensor of two or more dimensions in `blocks.`, and, as in the
// reference, the learned rotary tables, which its blocks share.
bool updated_by_muon(std::string_view name, const at::Tensor& tensor);

// Newton–Schulz steps: the matrix [rows, cols] with its singular values pulled to about 1. Computed and returned
// in `precision`. A direction in which the matrix is next to nothing grows by up to 3.4445 a step, so in bfloat16
// what comes out there is rounding.
at::Tensor orthogonalise(const at::Tensor& matrix, int steps = 5, at::ScalarType precision = at::kFloat);

// step() makes a new state and leaves the old one as it is. It takes the memory for that from a state it
// published before and that nobody holds any more (nor any tensor of it), so after a few steps no new states
// are allocated. Parameters are spread over the cores of the arena that it is called in. One thread at a time;
// states may be read and released on any thread.
class Muon {
 public:
  struct Options {
    double momentum = 0.95;
    double beta1 = 0.9;
    double beta2 = 0.95;
    double eps = 1e-10;
    double weight_decay = 1e-5;
    double clip = 10;  // 0: off
    double ema = 0;    // weight of the old mean in the new, at most (1+n)/(10+n) at step n; 0: off
    int ns_steps = 5;
    std::string ns_precision = "float32";  // float32 | bfloat16 (the reference; slow on a CPU)
  };

  explicit Muon(Options options);

  const Options& options() const { return options_; }

  // The state before the first step.
  std::shared_ptr<const TrainState> start(Parameters weights) const;

  // gradients[i] belongs to state->weights.tensors[i]. Throws std::runtime_error when the gradient is not
  // finite and std::invalid_argument when its shapes are not the weights'.
  Step step(const std::shared_ptr<const TrainState>& state, const std::vector<at::Tensor>& gradients,
            Rates rates);

 private:
  std::shared_ptr<TrainState> blank_like(const TrainState& state);

  Options options_;
  std::vector<std::shared_ptr<TrainState>> published_;
};

}  // namespace model
