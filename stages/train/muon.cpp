// muon: one optimizer step per batch of gradients, Muon for the blocks' matrices and Adam for all else.
//
// Owns the weights: draws the first ones, sends them round to the network and makes new ones from what comes
// back. A run that goes on takes up the whole state instead, to the last bit. Published weights are never
// written again, so whoever holds a snapshot may read it while training goes on. Both learning rates rise from
// 0 over the first `warmup` of the run and then fall to 0 as half a cosine.
//
// Source: see stages/model/muon.h
#include "stages/model/muon.h"

#include <tbb/task_arena.h>

#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "stages/model/schedule.h"
#include "stages/train/optimizer.h"

namespace stages {
namespace {

struct Muon {
  struct Params : model::Muon::Options, OptimizerParams {
    double lr_muon = 0.02, lr_adam = 1e-3;
  };

  Weights start(const graph::Context& context) {
    optimizer.emplace(params);
    arena.initialize(workers_of(device_of(params.device)));
    state = first_state(*optimizer, params, context);
    return {state->weights};
  }

  std::tuple<Weights, Snapshot, Report> operator()(const Gradients& gradients,
                                                   const graph::Context& context) {
    const auto share = model::cosine_with_warmup(context.progress(), params.warmup, 1);
    const model::Rates rates{params.lr_muon * share, params.lr_adam * share};
    auto step = arena.execute([&] { return optimizer->step(state, gradients.of, rates); });
    state = std::move(step.state);
    return {Weights{state->weights}, Snapshot{state},
            Report{state->step, gradients.loss, rates.muon, rates.adam, step.grad_norm, gradients.frames,
                   context.progress()}};
  }

  Params params;
  tbb::task_arena arena;
  std::optional<model::Muon> optimizer;
  std::shared_ptr<const model::TrainState> state;
};

using P = Muon::Params;
const bool registered =
    declare_optimizer(graph::Stage<Muon>("muon").summary("step the weights with Muon and Adam"))
        .param("lr_muon", &P::lr_muon, "highest learning rate of the blocks' matrices", graph::at_least(0))
        .param("lr_adam", &P::lr_adam, "highest learning rate of all else", graph::at_least(0))
        .param("momentum", &P::momentum, "Muon's", graph::between(0, 1))
        .param("ns_steps", &P::ns_steps, "Newton-Schulz steps", graph::between(1, 20))
        .param("ns_precision", &P::ns_precision, "of those; bfloat16 is the reference's, and slow on a CPU",
               graph::one_of({"float32", "bfloat16"}))
        .add();

}  // namespace
}  // namespace stages
