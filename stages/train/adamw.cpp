// adamw: one optimizer step per batch of gradients, AdamW for all weights.
//
// What most others train with, to hold Muon against. Everything around the rule is as in muon.cpp.
//
// Source: see stages/model/adamw.h
#include "stages/model/adamw.h"

#include <tbb/task_arena.h>

#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "stages/model/schedule.h"
#include "stages/train/optimizer.h"

namespace stages {
namespace {

struct AdamW {
  struct Params : model::AdamW::Options, OptimizerParams {
    double lr = 1e-3;
  };

  Weights start(const graph::Context& context) {
    optimizer.emplace(params);
    arena.initialize(workers_of(device_of(params.device)));
    state = first_state(*optimizer, params, context);
    return {state->weights};
  }

  std::tuple<Weights, Snapshot, Report> operator()(const Gradients& gradients,
                                                   const graph::Context& context) {
    const auto rate = params.lr * model::cosine_with_warmup(context.progress(), params.warmup, 1);
    auto step = arena.execute([&] { return optimizer->step(state, gradients.of, rate); });
    state = std::move(step.state);
    return {
        Weights{state->weights}, Snapshot{state},
        Report{state->step, gradients.loss, 0, rate, step.grad_norm, gradients.frames, context.progress()}};
  }

  Params params;
  tbb::task_arena arena;
  std::optional<model::AdamW> optimizer;
  std::shared_ptr<const model::TrainState> state;
};

const bool registered = declare_optimizer(graph::Stage<AdamW>("adamw").summary("step the weights with AdamW"))
                            .param("lr", &AdamW::Params::lr, "highest learning rate", graph::at_least(0))
                            .add();

}  // namespace
}  // namespace stages
