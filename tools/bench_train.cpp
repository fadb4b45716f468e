// bench_train: the stages of pipelines/train.yaml at work as in a run, and the network by itself on one core.
//
// What a stage takes is the time from its call to its return, as the engine counts it. Gradients and optimizer take
// turns; the data stages work for the steps to come meanwhile, so their time holds waiting for a core too, and is an
// upper bound of what they cost a step.
#include <tbb/task_arena.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "stages/model/flops.h"
#include "stages/model/mmdit.h"
#include "stages/types.h"
#include "tools/bench_training.h"
#include "tools/benches.h"
#include "tools/figures.h"
#include "tools/metered_run.h"
#include "tools/speed.h"

namespace tools {
namespace {

using Json = nlohmann::json;

constexpr int warm_up = 2, stretches = 3;

// Seconds, of one clip on one core.
struct Alone {
  double forward = 0, backward = 0;
};

Alone one_clip(const model::Config& config, std::int64_t frames, std::int64_t past, double seconds) {
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  constexpr std::size_t least = 3;
  const model::Mmdit network(config);
  const auto leaves = network.initialise(0).leaves();
  const auto x = torch::randn({1, frames, config.patches(), config.patch_dim()}), v = torch::randn(x.sizes()),
             t = torch::rand({1, frames});
  const auto action = torch::ones({1, frames}, torch::kLong);
  std::vector<double> forward, backward;
  const auto start = Clock::now();
  while (forward.size() < least || Seconds(Clock::now() - start).count() < seconds) {
    const auto begin = Clock::now();
    const auto predicted = [&](const at::Tensor& all) { return all.narrow(1, past, frames - past); };
    const auto loss = network.loss(network.forward(leaves, x, t, action, past, model::fastest_products()),
                                   predicted(x), predicted(v), predicted(t));
    const auto middle = Clock::now();
    torch::autograd::grad({loss}, leaves.tensors);
    forward.push_back(Seconds(middle - begin).count());
    backward.push_back(Seconds(Clock::now() - middle).count());
  }
  return {quantile(forward, 0.5), quantile(backward, 0.5)};
}

// Of a clip: how many frames are given beside those that are predicted.
std::int64_t past_of(const BenchSetup& setup) {
  MeteredRun run(training(setup.config, setup.batch, data_stages()), "noise", "noisy");
  return run.next().message.as<stages::NoisyPatches>().past;
}

// Seconds of work a step.
double busy(const std::vector<Stretch>& all, const std::string& stage) {
  return median(all, [&](const Stretch& stretch) { return stretch.busy.at(stage); });
}

}  // namespace

Json bench_train(const BenchSetup& setup) {
  std::fprintf(stderr, "train: steps of %lld clips\n", static_cast<long long>(setup.batch));
  auto stages_of_a_step = data_stages();
  stages_of_a_step.insert(stages_of_a_step.end(), {"sampled", "taught", "gradients", "stepped", "validated"});
  std::vector<Stretch> all;
  const auto past = past_of(setup);
  std::int64_t frames = 0;  // of a clip, that are predicted
  Speed speed;
  double flop = 0;  // of a step
  {
    MeteredRun run(training(setup.config, setup.batch, stages_of_a_step), "stepped", "report");
    for (int i = 0; i < warm_up; ++i) frames = run.next().message.as<stages::Report>().frames / setup.batch;
    all = run.stretches(stretches, setup.seconds);
    const auto clip_flop = model::train_flop(setup.model, frames + past, past);
    flop = clip_flop * static_cast<double>(setup.batch);
    speed = speed_of(setup, median(all, &Stretch::rate) * static_cast<double>(setup.batch * frames),
                     clip_flop / static_cast<double>(frames));
  }
  const auto step = 1 / median(all, &Stretch::rate), gradients = busy(all, "gradients"),
             stepped = busy(all, "stepped");

  std::printf(
      "\ntrain: %s, %lld clips of %lld frames a step, micro-batches of one clip; medians of %d stretches\n",
      setup.config.stem().c_str(), static_cast<long long>(setup.batch), static_cast<long long>(frames),
      stretches);
  const Table whole(speed_heads());
  whole.row("whole step", cells_of(speed));

  std::printf("\ntrain: the parts of a step, and one clip by itself\n");
  const Table parts({"ms", "share of step", "GFLOP/s", "share of peak"});
  const auto share_of_peak = 1e-9 * flop / gradients / setup.peak.all_cores;
  parts.row("whole step",
            {fixed(1000 * step, 2), percent(1), fixed(1e-9 * flop / step, 1), percent(speed.share_of_peak)});
  parts.row("gradients: forward and backward", {fixed(1000 * gradients, 2), percent(gradients / step),
                                                fixed(1e-9 * flop / gradients, 1), percent(share_of_peak)});
  parts.row("stepped: optimizer", {fixed(1000 * stepped, 2), percent(stepped / step)});
  Json data_ms;
  double data = 0;
  for (const auto& name : data_stages()) {
    const auto seconds = busy(all, name);
    data += seconds;
    data_ms[name] = 1000 * seconds;
    parts.row(name + ": data, meanwhile", {fixed(1000 * seconds, 2), percent(seconds / step)});
  }
  parts.row("optimizer and data stages",
            {fixed(1000 * (stepped + data), 2), percent((stepped + data) / step)});

  std::fprintf(stderr, "train: one clip on one core\n");
  Alone alone;
  tbb::task_arena one_core(1);  // or its kernels would take more
  one_core.execute([&] { alone = one_clip(setup.model, frames + past, past, setup.seconds); });
  // A backward pass is twice a forward pass, see flops.h.
  const auto clip_gflop = 1e-9 * flop / static_cast<double>(setup.batch),
             forward = clip_gflop / 3 / alone.forward, backward = clip_gflop * 2 / 3 / alone.backward;
  parts.row("a clip on one core: forward *",
            {fixed(1000 * alone.forward, 2), "", fixed(forward, 1), percent(forward / setup.peak.one_core)});
  parts.row("a clip on one core: backward *", {fixed(1000 * alone.backward, 2), "", fixed(backward, 1),
                                               percent(backward / setup.peak.one_core)});
  std::printf("* share of one core's peak; all else of all cores' together\n");

  auto figures = to_json(speed);
  figures["step_share_of_peak"] = speed.share_of_peak;
  figures["share_of_peak"] = share_of_peak;
  figures["steps_per_second"] = 1 / step;
  figures["mflop_per_token"] = 1e-6 * flop / static_cast<double>(setup.batch * frames * setup.model.tokens());
  figures["batch"] = setup.batch;
  figures["clip_frames"] = frames;
  figures["ms"] = Json{{"step", 1000 * step},
                       {"gradients", 1000 * gradients},
                       {"optimizer", 1000 * stepped},
                       {"data", data_ms}};
  figures["share_of_step"] = Json{{"gradients", gradients / step},
                                  {"optimizer", stepped / step},
                                  {"data", data / step},
                                  {"optimizer_and_data", (stepped + data) / step}};
  figures["one_clip_on_one_core"] = Json{{"forward_ms", 1000 * alone.forward},
                                         {"backward_ms", 1000 * alone.backward},
                                         {"forward_share_of_peak", forward / setup.peak.one_core},
                                         {"backward_share_of_peak", backward / setup.peak.one_core}};
  return figures;
}

}  // namespace tools
