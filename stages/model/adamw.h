// adamw: the optimizer, Adam with decoupled weight decay for every parameter.
//
//   m ← lerp(m, g, 1−β1)        v ← lerp(v, g², 1−β2)
//   w ← w·(1 − rate·decay) − rate·(m/(1−β1ⁿ)) / (√(v/(1−β2ⁿ)) + eps)          at step n
//
// As in PyTorch, the decay follows the whole learning rate.
//
// Sources: Kingma & Ba 2015 arXiv:1412.6980 · Loshchilov & Hutter 2019 arXiv:1711.05101
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "stages/model/stepper.h"

namespace model {

struct Adam {
  double beta1 = 0, beta2 = 0, eps = 0;
};

// The direction of Adam's update of parameter i, whose moments in `next` are made from those in `old`.
at::Tensor adam_direction(const Adam& adam, const TrainState& old, std::size_t i, const at::Tensor& gradient,
                          TrainState& next);

// A Stepper with this one rule.
class AdamW {
 public:
  static constexpr const char* name = "adamw";

  struct Options {
    double beta1 = 0.9;
    double beta2 = 0.95;
    double eps = 1e-8;
    double weight_decay = 0.01;
    double clip = 1;  // 0: off
    double ema = 0;   // see StepOptions
  };

  explicit AdamW(Options options);

  // The state before the first step.
  std::shared_ptr<const TrainState> start(Parameters weights) const;

  // As Stepper::step, at this learning rate.
  Step step(const std::shared_ptr<const TrainState>& state, const std::vector<at::Tensor>& gradients,
            double rate);

 private:
  Adam adam_;
  Stepper stepper_;
};

}  // namespace model
