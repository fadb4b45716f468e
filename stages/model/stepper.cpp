// stepper: clipping, decay, the running mean, and states in memory that is used again.
#include "stages/model/stepper.h"

#include <torch/types.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <utility>

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

Stepper::Stepper(std::string optimizer, StepOptions options)
    : optimizer_(std::move(optimizer)), options_(options) {}

std::shared_ptr<TrainState> Stepper::start(Parameters weights) const {
  auto state = std::make_shared<TrainState>();
  state->optimizer = optimizer_;
  for (const at::Tensor& weight : weights.tensors) {
    state->first.push_back(at::zeros_like(weight));
    state->second.push_back(at::zeros_like(weight));
  }
  if (options_.ema > 0) state->ema = weights;
  state->weights = std::move(weights);
  return state;
}

std::shared_ptr<TrainState> Stepper::blank_like(const TrainState& state) {
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
    blank->optimizer = optimizer_;
    blank->weights = {state.weights.names, empty_like(state.weights.tensors)};
    blank->ema = {state.ema.names, empty_like(state.ema.tensors)};
    blank->first = empty_like(state.first);
    blank->second = empty_like(state.second);
  }
  published_.push_back(blank);
  return blank;
}

Step Stepper::step(const std::shared_ptr<const TrainState>& state, const std::vector<at::Tensor>& gradients,
                   const Rule& rule) {
  const at::NoGradGuard no_grad;
  const Parameters& old = state->weights;
  if (gradients.size() != old.size()) {
    throw std::invalid_argument(optimizer_ + ": there are " + std::to_string(gradients.size()) +
                                " gradients for " + std::to_string(old.size()) +
                                " parameters, expected one for each");
  }
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i].sizes() != old.tensors[i].sizes()) {
      throw std::invalid_argument(optimizer_ + ": the gradient of " + old.names[i] + " is " +
                                  c10::str(gradients[i].sizes()) + ", expected " +
                                  c10::str(old.tensors[i].sizes()));
    }
  }
  const double norm = global_norm(gradients);
  if (!std::isfinite(norm)) {
    throw std::runtime_error(optimizer_ + ": the gradient of step " + std::to_string(state->step + 1) +
                             " is not finite: training has diverged; start again with lower learning rates");
  }
  const double scale = options_.clip > 0 ? std::min(1.0, options_.clip / (norm + 1e-6)) : 1.0;

  const std::shared_ptr<TrainState> next = blank_like(*state);
  next->step = state->step + 1;
  // At the start the mean looks back less far, or a short run would play with the weights that it began with.
  const double steps = static_cast<double>(next->step),
               ema = std::min(options_.ema, (1 + steps) / (10 + steps));
  for_each_tensor(gradients, [&](std::size_t i) {
    const Update update = rule(i, gradients[i] * scale, *next);
    at::Tensor& fresh = next->weights.tensors[i];
    fresh.copy_(old.tensors[i])
        .mul_(1 - update.rate * options_.weight_decay)
        .sub_(update.direction, update.rate);
    if (!next->ema.empty()) at::lerp_out(next->ema.tensors[i], state->ema.tensors[i], fresh, 1 - ema);
  });
  return {next, norm};
}

}  // namespace model
