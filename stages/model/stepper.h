// stepper: what a step does whatever the optimizer's rule is.
//
//   g ← g·min(1, clip/‖g‖)              the norm is that of all gradients together
//   w ← w·(1 − rate·decay) − rate·u     the rule gives u and its rate; decay is decoupled from it
//   e ← lerp(w, e, ema)                 the running mean, for playing
//
// Source: Loshchilov & Hutter 2019 arXiv:1711.05101 (decoupled decay)
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stages/model/train_state.h"

namespace model {

struct Step {
  std::shared_ptr<const TrainState> state;
  double grad_norm = 0;  // before clipping
};

struct StepOptions {
  double weight_decay = 0;
  double clip = 0;  // 0: off
  double ema = 0;   // weight of the old mean in the new, at most (1+n)/(10+n) at step n; 0: off
};

// What a rule makes of one gradient: u and its rate.
struct Update {
  at::Tensor direction;
  double rate = 0;
};

// step() makes a new state and leaves the old one as it is. It takes the memory for that from a state it
// published before and that nobody holds any more (nor any tensor of it), so after a few steps no new states
// are allocated. Parameters are spread over the cores of the arena that it is called in. One thread at a time;
// states may be read and released on any thread.
class Stepper {
 public:
  // Called for every parameter i with its clipped gradient, on any thread and for several at once, without
  // autograd. Writes first[i] and second[i] of `next`, which hold anything before.
  using Rule = std::function<Update(std::size_t i, const at::Tensor& gradient, TrainState& next)>;

  // `optimizer` is the name in states and errors.
  Stepper(std::string optimizer, StepOptions options);

  // The state before the first step, with moments of zero.
  std::shared_ptr<TrainState> start(Parameters weights) const;

  // gradients[i] belongs to state->weights.tensors[i]. Throws std::runtime_error when the gradient is not
  // finite and std::invalid_argument when its shapes are not the weights'.
  Step step(const std::shared_ptr<const TrainState>& state, const std::vector<at::Tensor>& gradients,
            const Rule& rule);

 private:
  std::shared_ptr<TrainState> blank_like(const TrainState& state);

  std::string optimizer_;
  StepOptions options_;
  std::vector<std::shared_ptr<TrainState>> published_;
};

}  // namespace model
