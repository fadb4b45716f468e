// muon: the optimizer, Muon for the matrices of the blocks and Adam for everything else.
#include "stages/model/muon.h"

#include <torch/types.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <string>

#include "stages/model/kernels/parallel.h"

namespace model {
namespace {

// Whether nobody but the holder of this reference can reach the numbers, be it through a copy or a view.
bool unshared(const at::Tensor& tensor) {
  return !tensor.defined() || (tensor.use_count() == 1 && tensor.storage().use_count() == 1);
}

bool same_shapes(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const at::Tensor& x, const at::Tensor& y) {
    return x.sizes() == y.sizes() && x.options().type_equal(y.options());
  });
}

bool recyclable(const std::shared_ptr<TrainState>& state) {
  const auto all_unshared = [](const std::vector<at::Tensor>& tensors) {
    return std::all_of(tensors.begin(), tensors.end(), unshared);
  };
  if (state.use_count() != 1 || !all_unshared(state->weights.tensors) || !all_unshared(state->ema.tensors) ||
      !all_unshared(state->first) || !all_unshared(state->second)) {
    return false;
  }
  // Counts are read without ordering: what the last holder read must be over before we write.
  std::atomic_thread_fence(std::memory_order_acquire);
  return true;
}

std::vector<at::Tensor> empty_like(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> blank;
  for (const at::Tensor& tensor : tensors)
    blank.push_back(tensor.defined() ? at::empty_like(tensor) : at::Tensor());
  return blank;
}

// body(i) for every one of these, on all cores of the arena; a GPU is one for itself.
template <class Body>
void for_each_tensor(const std::vector<at::Tensor>& tensors, const Body& body) {
  const double worth = !tensors.empty() && tensors[0].device().is_cpu() ? 1e6 : 0;
  kernels::spread(static_cast<std::int64_t>(tensors.size()), worth,
                  [&](std::int64_t begin, std::int64_t end) {
                    const at::NoGradGuard no_grad;  // a thread's own
                    for (std::int64_t i = begin; i < end; ++i) body(static_cast<std::size_t>(i));
                  });
}

double global_norm(const std::vector<at::Tensor>& gradients) {
  std::vector<at::Tensor> squares(gradients.size());
  for_each_tensor(gradients,
                  [&](std::size_t i) { squares[i] = gradients[i].to(at::kDouble).square().sum(); });
  return std::sqrt(at::stack(squares).sum().item<double>());
}

}  // namespace

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

Muon::Muon(Options options) : options_(std::move(options)) {
  if (options_.ns_precision != "float32" && options_.ns_precision != "bfloat16") {
    throw std::invalid_argument("muon: ns_precision is '" + options_.ns_precision +
                                "', expected float32 or bfloat16");
  }
}

std::shared_ptr<const TrainState> Muon::start(Parameters weights) const {
  auto state = std::make_shared<TrainState>();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const at::Tensor& weight = weights.tensors[i];
    state->first.push_back(at::zeros_like(weight));
    state->second.push_back(updated_by_muon(weights.names[i], weight) ? at::Tensor()
                                                                      : at::zeros_like(weight));
  }
  if (options_.ema > 0) state->ema = weights;
  state->weights = std::move(weights);
  return state;
}

std::shared_ptr<TrainState> Muon::blank_like(const TrainState& state) {
  std::shared_ptr<TrainState> blank;
  // One spare is all that a next step needs; the memory of others goes back.
  std::erase_if(published_, [&](const std::shared_ptr<TrainState>& old) {
    if (!recyclable(old)) return false;
    if (!blank && same_shapes(old->weights.tensors, state.weights.tensors) &&
        same_shapes(old->ema.tensors, state.ema.tensors)) {
      blank = old;
    }
    return true;
  });
  if (!blank) {
    blank = std::make_shared<TrainState>();
    blank->weights = {state.weights.names, empty_like(state.weights.tensors)};
    blank->ema = {state.ema.names, empty_like(state.ema.tensors)};
    blank->first = empty_like(state.first);
    blank->second = empty_like(state.second);
  }
  published_.push_back(blank);
  return blank;
}

Step Muon::step(const std::shared_ptr<const TrainState>& state, const std::vector<at::Tensor>& gradients,
                Rates rates) {
  const at::NoGradGuard no_grad;
  const Parameters& old = state->weights;
  if (gradients.size() != old.size()) {
    throw std::invalid_argument("muon: there are " + std::to_string(gradients.size()) + " gradients for " +
                                std::to_string(old.size()) + " parameters, expected one for each");
  }
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i].sizes() != old.tensors[i].sizes()) {
      throw std::invalid_argument("muon: the gradient of " + old.names[i] + " is " +
                                  c10::str(gradients[i].sizes()) + ", expected " +
                                  c10::str(old.tensors[i].sizes()));
    }
  }
  const double norm = global_norm(gradients);
  if (!std::isfinite(norm)) {
    throw std::runtime_error("muon: the gradient of step " + std::to_string(state->step + 1) +
                             " is not finite: training has diverged; start again with lower learning rates");
  }
  const double scale = options_.clip > 0 ? std::min(1.0, options_.clip / (norm + 1e-6)) : 1.0;

  const std::shared_ptr<TrainState> next = blank_like(*state);
  next->step = state->step + 1;
  const double bias1 = 1 - std::pow(options_.beta1, static_cast<double>(next->step));
  const double bias2 = 1 - std::pow(options_.beta2, static_cast<double>(next->step));
  // At the start the mean looks back less far, or a short run would play with the weights that it began with.
  const double steps = static_cast<double>(next->step),
               ema = std::min(options_.ema, (1 + steps) / (10 + steps));
  const at::ScalarType precision = options_.ns_precision == "bfloat16" ? at::kBFloat16 : at::kFloat;
  for_each_tensor(gradients, [&](std::size_t i) {
    const at::Tensor gradient = gradients[i] * scale;
    const at::Tensor& weight = old.tensors[i];
    at::Tensor& first = next->first[i];
    at::Tensor update;
    double rate = 0;
    if (updated_by_muon(old.names[i], weight)) {
      rate = rates.muon;
      at::lerp_out(first, state->first[i], gradient, 1 - options_.momentum);
      const at::Tensor nesterov = at::lerp(gradient, first, options_.momentum);
      const double rows = static_cast<double>(weight.size(-2)),
                   columns = static_cast<double>(weight.size(-1));
      // The learned tables [1,S,1,d_head] count as one row of numbers.
      update = orthogonalise(nesterov.flatten(1), options_.ns_steps, precision).reshape(weight.sizes()) *
               std::sqrt(std::max(1.0, rows / columns));
    } else {
      rate = rates.adam;
      at::Tensor& second = next->second[i];
      at::lerp_out(first, state->first[i], gradient, 1 - options_.beta1);
      at::lerp_out(second, state->second[i], gradient.square(), 1 - options_.beta2);
      update = (first / bias1).div_((second / bias2).sqrt_().add_(options_.eps));
    }
    at::Tensor& fresh = next->weights.tensors[i];
    fresh.copy_(weight).mul_(1 - rate * options_.weight_decay).sub_(update, rate);
    if (!next->ema.empty()) at::lerp_out(next->ema.tensors[i], state->ema.tensors[i], fresh, 1 - ema);
  });
  return {next, norm};
}

}  // namespace model
