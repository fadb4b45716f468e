// adamw: Adam's moments and direction.
#include "stages/model/adamw.h"

#include <torch/types.h>

#include <cmath>
#include <utility>

namespace model {

at::Tensor adam_direction(const Adam& adam, const TrainState& old, std::size_t i, const at::Tensor& gradient,
                          TrainState& next) {
  at::Tensor &first = next.first[i], &second = next.second[i];
  at::lerp_out(first, old.first[i], gradient, 1 - adam.beta1);
  at::lerp_out(second, old.second[i], gradient.square(), 1 - adam.beta2);
  const double steps = static_cast<double>(next.step);
  const double bias1 = 1 - std::pow(adam.beta1, steps), bias2 = 1 - std::pow(adam.beta2, steps);
  return (first / bias1).div_((second / bias2).sqrt_().add_(adam.eps));
}

AdamW::AdamW(Options options)
    : adam_{options.beta1, options.beta2, options.eps},
      stepper_(name, {options.weight_decay, options.clip, options.ema}) {}

std::shared_ptr<const TrainState> AdamW::start(Parameters weights) const {
  return stepper_.start(std::move(weights));
}

Step AdamW::step(const std::shared_ptr<const TrainState>& state, const std::vector<at::Tensor>& gradients,
                 double rate) {
  return stepper_.step(state, gradients,
                       [&](std::size_t i, const at::Tensor& gradient, TrainState& next) -> Update {
                         return {adam_direction(adam_, *state, i, gradient, next), rate};
                       });
}

}  // namespace model
