// muon: the optimizer, Muon for the matrices of the blocks and Adam for everything else.
#include "stages/model/muon.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "stages/model/adamw.h"

namespace model {

bool updated_by_muon(std::string_view name, const at::Tensor& tensor) {
  return tensor.dim() >= 2 && (name.starts_with("blocks.") || name.starts_with("rope_seq."));
}

at::Tensor orthogonalise(const at::Tensor& matrix, int steps, at::ScalarType precision) {
  constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
  const bool tall = matrix.size(0) > matrix.size(1);
  at::Tensor x = matrix.to(precision);
  x = (tall ? x.t() : x) / (x.norm() + 1e-7);
  for (int i = 0; i < steps; ++i) {
    const at::Tensor gram = at::mm(x, x.t());
    // Of the forms that this has, the reference's: in bfloat16 each rounds differently.
    x = a * x + at::mm(b * gram + at::mm(c * gram, gram), x);
  }
  return tall ? x.t() : x;
}

Muon::Muon(Options options)
    : options_(std::move(options)), stepper_(name, {options_.weight_decay, options_.clip, options_.ema}) {
  if (options_.ns_precision != "float32" && options_.ns_precision != "bfloat16") {
    throw std::invalid_argument("muon: ns_precision is '" + options_.ns_precision +
                                "', expected float32 or bfloat16");
  }
}

std::shared_ptr<const TrainState> Muon::start(Parameters weights) const {
  const std::shared_ptr<TrainState> state = stepper_.start(std::move(weights));
  const Parameters& all = state->weights;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (updated_by_muon(all.names[i], all.tensors[i])) state->second[i] = at::Tensor();
  return state;
}

Step Muon::step(const std::shared_ptr<const TrainState>& state, const std::vector<at::Tensor>& gradients,
                Rates rates) {
  const Adam adam{options_.beta1, options_.beta2, options_.eps};
  const at::ScalarType precision = options_.ns_precision == "bfloat16" ? at::kBFloat16 : at::kFloat;
  return stepper_.step(
      state, gradients, [&](std::size_t i, const at::Tensor& gradient, TrainState& next) -> Update {
        const at::Tensor& weight = state->weights.tensors[i];
        if (!updated_by_muon(state->weights.names[i], weight))
          return {adam_direction(adam, *state, i, gradient, next), rates.adam};
        at::Tensor& first = next.first[i];
        at::lerp_out(first, state->first[i], gradient, 1 - options_.momentum);
        const at::Tensor nesterov = at::lerp(gradient, first, options_.momentum);
        const double rows = static_cast<double>(weight.size(-2)),
                     columns = static_cast<double>(weight.size(-1));
        // The learned tables [1,S,1,d_head] count as one row of numbers.
        const at::Tensor direction =
            orthogonalise(nesterov.flatten(1), options_.ns_steps, precision).reshape(weight.sizes());
        return {direction * std::sqrt(std::max(1.0, rows / columns)), rates.muon};
      });
}

}  // namespace model
