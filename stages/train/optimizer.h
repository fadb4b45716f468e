// optimizer: what all optimizer stages share: the state that they begin with, their ports and common parameters.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "graph/stage.h"
#include "stages/model/config.h"
#include "stages/model/train_state.h"
#include "stages/settings.h"
#include "stages/types.h"

namespace stages {

/// Of the Params of every optimizer stage, beside the optimizer's own options.
struct OptimizerParams {
  std::string init;
  double warmup = 0.04;
  std::uint64_t seed = 0;
  std::string device = "auto";
  model::Config model;
};

/// The weights of a new run, on its device: drawn from the seed, or those of `init`. `stage` is what errors name.
/// Throws graph::Error when they are another model's.
model::Parameters first_weights(const OptimizerParams& params, const std::string& stage);

/// The state that a run goes on from, to the last bit, on its device. Throws graph::Error when it is another run's or
/// another optimizer's, and as load_train_state().
std::shared_ptr<const model::TrainState> last_state(const OptimizerParams& params,
                                                    const std::string& optimizer, const graph::Run& run);

/// What a run's first step starts from. Throws graph::Error for a run without an end.
template <class Optimizer>
std::shared_ptr<const model::TrainState> first_state(const Optimizer& optimizer,
                                                     const OptimizerParams& params,
                                                     const graph::Context& context) {
  graph::require(!context.run || context.run->ends(),
                 "the learning rate follows the run, so the run needs an end; set stop: {minutes: 30} or "
                 "stop: {steps: 1000}");
  if (context.run && context.run->first() > 0) return last_state(params, Optimizer::name, *context.run);
  return optimizer.start(first_weights(params, context.stage));
}

/// Declares the ports and parameters that all optimizer stages have.
template <class Optimizer>
graph::Stage<Optimizer>& declare_optimizer(graph::Stage<Optimizer>& stage) {
  using P = typename Optimizer::Params;
  return stage.in("gradients", "d loss / d parameter for every parameter")
      .out("weights", "the new parameters; the first ones at the start")
      .out("snapshot", "weights, their running mean, momenta, step")
      .out("report", "loss, rates, gradient norm of the step")
      .param("init", &P::init, "weights to start from, a file or a run folder; empty: drawn from the seed")
      .param("warmup", &P::warmup, "share of the run in which the rates rise", graph::between(0, 1))
      .param("beta1", &P::beta1, "Adam's", graph::half_open(0, 1))
      .param("beta2", &P::beta2, "Adam's", graph::half_open(0, 1))
      .param("eps", &P::eps, "Adam's", graph::above(0))
      .param("weight_decay", &P::weight_decay, "decoupled, of every parameter", graph::at_least(0))
      .param("clip", &P::clip, "largest norm of all gradients together; 0 does not clip", graph::at_least(0))
      .param("ema", &P::ema, "weight of the old in the running mean that plays; 0 keeps none",
             graph::between(0, 1))
      .shared("seed", &P::seed, "same seed, same first weights")
      .shared("device", &P::device, "where the weights live", devices())
      .block("model", &P::model)
      .on(graph::Executor::thread);
}

}  // namespace stages
