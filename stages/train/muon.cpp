// muon: one optimizer step per batch of gradients, Muon for the blocks' matrices and Adam for all else.
//
// Owns the weights: draws the first ones, sends them round to the network and makes new ones from what comes
// back. A run that goes on takes up the whole state instead, to the last bit. Published weights are never
// written again, so whoever holds a snapshot may read it while training goes on. Both learning rates rise from
// 0 over the first `warmup` of the run and then fall to 0 as half a cosine.
//
// Source: see stages/model/muon.h
#include "stages/model/muon.h"

#include <spdlog/spdlog.h>
#include <tbb/task_arena.h>

#include <optional>
#include <tuple>

#include "graph/stage.h"
#include "stages/find_checkpoint.h"
#include "stages/model/mmdit.h"
#include "stages/model/python_checkpoint.h"
#include "stages/model/schedule.h"
#include "stages/model/torch_pickle.h"
#include "stages/model/train_state_file.h"
#include "stages/model/weights_file.h"
#include "stages/settings.h"
#include "stages/train/resume_file.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Muon {
  struct Params : model::Muon::Options {
    std::string init;
    double lr_muon = 0.02, lr_adam = 1e-3, warmup = 0.04;
    std::uint64_t seed = 0;
    std::string device = "auto";
    model::Config model;
  };

  Weights start(const graph::Context& context) {
    graph::require(!context.run || context.run->ends(),
                   "the learning rate follows the run, so the run needs an end; set stop: {minutes: 30} or "
                   "stop: {steps: 1000}");
    optimizer.emplace(params);
    device = device_of(params.device);
    arena.initialize(workers_of(device));
    if (context.run && context.run->first() > 0)
      state = go_on(*context.run);
    else
      state = optimizer->start(first_weights(context.stage).to(device, at::kFloat));
    return {state->weights};
  }

  model::Parameters first_weights(const std::string& stage) const {
    if (params.init.empty()) return model::Mmdit(params.model).initialise(params.seed);
    const auto path = find_checkpoint(params.init, stage + ".init");
    auto file = model::is_python(path) ? model::load_weights(path, params.model) : model::load(path);
    // How weights were drawn once, and how much of the past they are shown, does not make them others.
    file.config.init = params.model.init;
    file.config.n_window = params.model.n_window;
    if (!(file.config == params.model))
      throw graph::Error("init: " + path.generic_string() + " is another model: " + file.config.to_json() +
                         ", this run's is " + params.model.to_json());
    spdlog::info("starting from {}", path.generic_string());
    return std::move(file.parameters);
  }

  std::shared_ptr<const model::TrainState> go_on(const graph::Run& run) const {
    const auto path = resume_file(run.folder());
    auto file = model::load_train_state(path);
    if (!(file.config == params.model) || file.state->step != static_cast<std::int64_t>(run.first()))
      throw graph::Error(path.generic_string() + " is not this run's state");
    for (auto* each : {&file.state->weights, &file.state->ema}) *each = each->to(device, at::kFloat);
    for (auto* moments : {&file.state->first, &file.state->second})
      for (auto& tensor : *moments)
        if (tensor.defined()) tensor = tensor.to(device);
    return file.state;
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
  at::Device device = at::kCPU;
  tbb::task_arena arena;
  std::optional<model::Muon> optimizer;
  std::shared_ptr<const model::TrainState> state;
};

using P = Muon::Params;
const bool registered =
    graph::Stage<Muon>("muon")
        .summary("step the weights with Muon and Adam")
        .in("gradients", "d loss / d parameter for every parameter")
        .out("weights", "the new parameters; the first ones at the start")
        .out("snapshot", "weights, their running mean, momenta, step")
        .out("report", "loss, rates, gradient norm of the step")
        .param("init", &P::init, "weights to start from, a file or a run folder; empty: drawn from the seed")
        .param("lr_muon", &P::lr_muon, "highest learning rate of the blocks' matrices", graph::at_least(0))
        .param("lr_adam", &P::lr_adam, "highest learning rate of all else", graph::at_least(0))
        .param("warmup", &P::warmup, "share of the run in which the rates rise", graph::between(0, 1))
        .param("momentum", &P::momentum, "Muon's", graph::between(0, 1))
        .param("beta1", &P::beta1, "Adam's", graph::half_open(0, 1))
        .param("beta2", &P::beta2, "Adam's", graph::half_open(0, 1))
        .param("eps", &P::eps, "Adam's", graph::above(0))
        .param("weight_decay", &P::weight_decay, "decoupled, of every parameter", graph::at_least(0))
        .param("clip", &P::clip, "largest norm of all gradients together; 0 does not clip",
               graph::at_least(0))
        .param("ema", &P::ema, "weight of the old in the running mean that plays; 0 keeps none",
               graph::between(0, 1))
        .param("ns_steps", &P::ns_steps, "Newton-Schulz steps", graph::between(1, 20))
        .param("ns_precision", &P::ns_precision, "of those; bfloat16 is the reference's, and slow on a CPU",
               graph::one_of({"float32", "bfloat16"}))
        .shared("seed", &P::seed, "same seed, same first weights")
        .shared("device", &P::device, "where the weights live", devices())
        .block("model", &P::model)
        .on(graph::Executor::thread)
        .add();

}  // namespace
}  // namespace stages
