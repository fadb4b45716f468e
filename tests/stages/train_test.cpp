// train_test: the stages of training, one by one.
#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "stages/model/mmdit.h"
#include "stages/model/weights_file.h"
#include "stages/random.h"
#include "stages/types.h"
#include "tests/complaint.h"
#include "tests/harness.h"
#include "tests/stages/run_stub.h"
#include "tests/tiny_model.h"

namespace {

using stages::Gradients;
using stages::NoisyPatches;
using stages::Patches;
using stages::Report;
using stages::Snapshot;
using stages::Weights;
using tests::complaint;
using tests::expect_in;
using tests::Harness;
using tests::RunStub;

const std::string model = "{" + std::string(tests::tiny_sizes) + "}";
const std::string top = "{seed: 1, device: cpu, model: " + model + "}";

Patches patches(std::int64_t B = 64, std::int64_t T = 32, std::int64_t P = 16, std::int64_t D = 108) {
  return {torch::rand({B, T, P, D}) * 2 - 1, torch::randint(1, 4, {B, T}), 24, 24, 6};
}

TEST(DropActions, HidesTheGivenShareAndNothingElse) {
  const auto in = patches(64, 64, 1, 1);
  const auto out = *Harness("drop_actions", "{probability: 0.25}").run<Patches>(3, in);
  const auto hidden = out.action == 0;
  EXPECT_NEAR(hidden.to(torch::kFloat).mean().item<float>(), 0.25, 0.03);
  EXPECT_TRUE(out.action.masked_select(~hidden).equal(in.action.masked_select(~hidden)));
  EXPECT_TRUE(out.x.equal(in.x));
  EXPECT_EQ((in.action == 0).sum().item<int>(), 0) << "the message before is left as it was";
}

TEST(DropActions, ZeroHidesNoneAndOneAll) {
  EXPECT_EQ(
      (Harness("drop_actions", "{probability: 0}").run<Patches>(0, patches())->action == 0).sum().item<int>(),
      0);
  EXPECT_EQ(Harness("drop_actions", "{probability: 1}").run<Patches>(0, patches())->action.sum().item<int>(),
            0);
}

TEST(Mmdit, ThePastIsNotCountedAsTrained) {
  Harness network("mmdit", "{}", "{device: cpu, model: " + model + "}");
  network.start();
  const auto weights = *Harness("muon", "{}", top).start<Weights>();
  const auto taught = *Harness("logit_normal_noise", "{context: given}").run<NoisyPatches>(0, patches(6, 4));
  EXPECT_EQ(network.run<Gradients>(0, taught, weights)->frames, 24);
}

TEST(Mmdit, FramesWithLessPastAreSeenButNotLearnedFrom) {
  const auto gradients_of = [](const std::string& params, const NoisyPatches& batch) {
    Harness network("mmdit", params, "{device: cpu, model: " + model + "}");
    network.start();
    return *network.run<Gradients>(0, batch, *Harness("muon", "{}", top).start<Weights>());
  };
  const auto near = [](const Gradients& a, const Gradients& b) {
    double off = 0;
    for (std::size_t i = 0; i < a.of.size(); ++i)
      off = std::max(off, (a.of[i] - b.of[i]).abs().max().item<double>());
    return off < 1e-6;
  };
  for (const auto* context : {"noisy", "given"}) {
    const auto batch = *Harness("logit_normal_noise", std::string("{context: ") + context + "}")
                            .run<NoisyPatches>(0, patches(6, 4));
    auto other = batch;
    other.v = batch.v.clone();
    other.v.narrow(1, batch.past, 2).add_(1);
    EXPECT_EQ(gradients_of("{least_past: 2}", batch).frames, 12);
    EXPECT_TRUE(near(gradients_of("{least_past: 2}", batch), gradients_of("{least_past: 2}", other)))
        << context;
    EXPECT_FALSE(near(gradients_of("{}", batch), gradients_of("{}", other))) << context;
    other.x_t = batch.x_t.clone();
    other.x_t.narrow(1, 0, 1).add_(1);
    EXPECT_FALSE(near(gradients_of("{least_past: 2}", batch), gradients_of("{least_past: 2}", other)))
        << context;
    EXPECT_THROW(gradients_of("{least_past: 4}", batch), graph::Error);
  }
}

TEST(Mmdit, HuberLimitsWhatAFrameCanWeigh) {
  const auto batch = *Harness("logit_normal_noise").run<NoisyPatches>(0, patches(6, 4));
  const auto loss_of = [&](const std::string& params) {
    Harness network("mmdit", params, "{device: cpu, model: " + model + "}");
    network.start();
    return network.run<Gradients>(0, batch, *Harness("muon", "{}", top).start<Weights>())->loss;
  };
  EXPECT_LT(loss_of("{huber: 0.01}"), 0.1 * loss_of("{}"));
  EXPECT_NEAR(loss_of("{huber: 1000}"), loss_of("{}"), 1e-3);
}

// A stage, at rates that show in a few steps.
struct Optimizer {
  std::string type, params;
};
const Optimizer muon{"muon", "{lr_muon: 0.02, lr_adam: 0.01, warmup: 0}"},
    adamw{"adamw", "{lr: 0.01, warmup: 0}"};

struct Sampling {
  // The window holds all of a clip, so that a cache remembers no more than a pass over the clip sees.
  const std::string top =
      "{seed: 1, device: cpu, model: {d_model: 32, n_heads: 2, n_blocks: 2, patch_size: 6, n_window: 8, "
      "n_past_actions: 2, stem: linear, predicts: data}}";

  explicit Sampling(const std::string& params) : stage("scheduled_sampling", params, top, &run) {
    stage.start();
    weights = *Harness("adamw", "{}", top).start<Weights>();
  }
  NoisyPatches at(std::uint64_t number, const NoisyPatches& batch) {
    return *stage.run<NoisyPatches>(number, batch, weights);
  }

  RunStub run;
  Harness stage;
  Weights weights;
  const Patches clean = patches(16, 6);
  const NoisyPatches given = *Harness("logit_normal_noise", "{context: given}").run<NoisyPatches>(0, clean);
};

at::Tensor over_patches(const at::Tensor& t) { return t.unsqueeze(-1).unsqueeze(-1); }

at::Tensor past_of(const NoisyPatches& batch) {
  return (batch.x_t + over_patches(batch.t) * batch.v).narrow(1, 0, batch.past);
}

TEST(ScheduledSampling, PutsDreamsAtTheEndOfSomeClips) {
  Sampling sampling("{share: 0.5, begin: 0, frames: 3}");
  const auto out = sampling.at(7, sampling.given);
  EXPECT_EQ(out.past, 6);
  EXPECT_TRUE(out.t.equal(sampling.given.t));
  EXPECT_TRUE(out.action.equal(sampling.given.action));
  EXPECT_TRUE(torch::allclose(out.x_t.narrow(1, 6, 6), sampling.given.x_t.narrow(1, 6, 6), 1e-5, 1e-5))
      << "to be predicted";
  const auto x0 = past_of(out);
  EXPECT_TRUE(torch::allclose(x0.select(1, 5), sampling.clean.x.select(1, 5), 1e-4, 1e-4)) << "the last";
  EXPECT_TRUE(torch::allclose(x0.narrow(1, 0, 2), sampling.clean.x.narrow(1, 0, 2), 1e-4, 1e-4));
  int dreamed = 0;
  for (std::int64_t b = 0; b < 16; ++b)
    dreamed += !torch::allclose(x0[b][4], sampling.clean.x[b][4], 1e-2, 1e-2);
  EXPECT_GT(dreamed, 2);
  EXPECT_LT(dreamed, 14);
  EXPECT_LE(x0.abs().max().item<float>(), 1.001);
  EXPECT_TRUE(sampling.at(7, sampling.given).x_t.equal(out.x_t));
  EXPECT_FALSE(sampling.at(8, sampling.given).x_t.equal(out.x_t));
}

TEST(ScheduledSampling, DreamsUponDreamsAsAPassOverTheClipWould) {
  Sampling sampling("{share: 1, begin: 0, frames: 3, seed: 3}");
  const auto& given = sampling.given;
  const auto random = stages::generator(3, 5, "scheduled_sampling");
  torch::rand({16}, random);  // every clip is chosen
  const auto frames = torch::randint(1, 4, {}, random).item<std::int64_t>();
  ASSERT_GT(frames, 1) << "else nothing is dreamed upon a dream";
  const auto z = torch::randn(sampling.clean.x.sizes(), random);
  const auto t = given.t.narrow(1, 0, 6), x_t = given.x_t.narrow(1, 0, 6);
  const auto noise = x_t - over_patches(1 - t) * given.v.narrow(1, 0, 6);
  auto config = tests::tiny_model();
  config.n_window = 8;
  config.predicts = "data";
  const model::Mmdit network(config);
  auto x0 = sampling.clean.x.clone();
  for (auto i = 5 - frames; i < 5; ++i) {
    const auto past = x0 + over_patches(t) * (noise - x0);
    const auto prediction = network.forward(sampling.weights.parameters, torch::cat({past, z}, 1),
                                            torch::cat({t, torch::ones_like(t)}, 1), given.action, 6);
    x0.select(1, i).copy_(prediction.select(1, i).clamp(-1, 1));
  }
  EXPECT_TRUE(torch::allclose(past_of(sampling.at(5, given)), x0, 1e-3, 1e-3));
}

TEST(ScheduledSampling, MayChooseNone) {
  Sampling sampling("{share: 1.0e-9, begin: 0, frames: 3}");
  const auto out = sampling.at(7, sampling.given);
  EXPECT_TRUE(torch::allclose(out.x_t, sampling.given.x_t, 1e-5, 1e-5));
  EXPECT_TRUE(torch::allclose(out.v, sampling.given.v, 1e-5, 1e-5));
}

TEST(ScheduledSampling, KeepsAFrameWhoseActionIsHidden) {
  Sampling sampling("{share: 1, begin: 0, frames: 4}");
  auto given = sampling.given;
  given.action = given.action.clone();
  given.action.select(1, 4).zero_();
  const auto x0 = past_of(sampling.at(5, given));
  EXPECT_TRUE(torch::allclose(x0.select(1, 4), sampling.clean.x.select(1, 4), 1e-4, 1e-4));
  EXPECT_FALSE(torch::allclose(x0.select(1, 3), sampling.clean.x.select(1, 3), 1e-2, 1e-2));
}

TEST(ScheduledSampling, WaitsForItsShareOfTheRunAndWantsAPast) {
  Sampling sampling("{begin: 0.5, share: 1, frames: 4}");
  EXPECT_TRUE(sampling.at(49, sampling.given).x_t.equal(sampling.given.x_t));
  EXPECT_FALSE(sampling.at(50, sampling.given).x_t.equal(sampling.given.x_t));
  const auto noisy = *Harness("logit_normal_noise").run<NoisyPatches>(0, sampling.clean);
  // Not only when it is its turn.
  EXPECT_THROW(sampling.at(0, noisy), graph::Error);
  EXPECT_THROW(Sampling("{share: 1, frames: 5}").at(0, sampling.given), graph::Error);
  EXPECT_TRUE(Sampling("{begin: 0}").at(50, noisy).x_t.equal(noisy.x_t)) << "off unless asked for";
}

struct Training {
  explicit Training(const Optimizer& of = muon) : optimizer(of.type, of.params, top, &run) {
    weights = *optimizer.start<Weights>();
    batch = *Harness("logit_normal_noise").run<NoisyPatches>(0, patches(6, 4));
  }
  Gradients gradients(int micro_batch, const std::string& products = "auto") {
    Harness network("mmdit", "{micro_batch: " + std::to_string(micro_batch) + ", products: " + products + "}",
                    "{device: cpu, model: " + model + "}");
    network.start();
    return *network.run<Gradients>(0, batch, weights);
  }

  RunStub run;
  Harness optimizer;
  Weights weights;
  NoisyPatches batch;
};

TEST(Mmdit, MicroBatchesSumToTheWholeBatch) {
  Training training;
  const auto whole = training.gradients(6);
  for (const int micro : {1, 2, 4}) {
    const auto parts = training.gradients(micro);
    EXPECT_NEAR(parts.loss, whole.loss, 1e-5 * whole.loss);
    EXPECT_EQ(parts.frames, 24);
    for (std::size_t i = 0; i < whole.of.size(); ++i)
      EXPECT_LE((parts.of[i] - whole.of[i]).norm().item<float>(),
                1e-4 * whole.of[i].norm().item<float>() + 1e-7)
          << training.weights.parameters.names[i];
  }
}

TEST(Mmdit, GradientsAreSinglePrecisionsWhereThatIsAsked) {
  Training training;
  const auto any = training.gradients(6), exact = training.gradients(6, "float32");
  model::Config config = tests::tiny_model();
  config.predicts = model::Config{}.predicts;
  const model::Mmdit network(config);
  const auto leaves = training.weights.parameters.leaves();
  const auto& batch = training.batch;
  const auto prediction = network.forward(leaves, batch.x_t, batch.t, batch.action, batch.past);
  const auto expected =
      torch::autograd::grad({network.loss(prediction, batch.x_t, batch.v, batch.t)}, leaves.tensors);
  bool same = true;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& name = training.weights.parameters.names[i];
    EXPECT_TRUE(exact.of[i].equal(expected[i])) << name;
    EXPECT_LE((any.of[i] - exact.of[i]).norm().item<float>(), 1e-3 * exact.of[i].norm().item<float>() + 1e-6)
        << name;
    same = same && any.of[i].equal(exact.of[i]);
  }
  EXPECT_EQ(same, model::fastest_products() == model::Products::float32);
}

TEST(Mmdit, GradientsAreTheSameToTheBitEveryTime) {
  Training training;
  const auto once = training.gradients(2);
  for (int again = 0; again < 5; ++again) {
    const auto twice = training.gradients(2);
    for (std::size_t i = 0; i < once.of.size(); ++i) ASSERT_TRUE(once.of[i].equal(twice.of[i]));
  }
}

TEST(Mmdit, GradientsAreTheSameToTheBitOnOneThreadAndOnMany) {
  Training training;
  const auto many = training.gradients(1);
  const tbb::global_control alone(tbb::global_control::max_allowed_parallelism, 1);
  const auto one = training.gradients(1);
  EXPECT_EQ(one.loss, many.loss);
  for (std::size_t i = 0; i < one.of.size(); ++i)
    EXPECT_TRUE(one.of[i].equal(many.of[i])) << training.weights.parameters.names[i];
}

// To the bit: a share of a thirty-second rounds nothing.
TEST(Mmdit, SumsInTheOrderOfTheMicroBatches) {
  constexpr std::int64_t clips = 32;  // more than most machines have under way at once
  Training training;
  const auto batch = *Harness("logit_normal_noise").run<NoisyPatches>(0, patches(clips, 2));
  training.batch = batch;
  const auto sum = training.gradients(1);
  EXPECT_EQ(sum.frames, 2 * clips);
  std::vector<at::Tensor> expected;
  for (std::int64_t clip = 0; clip < clips; ++clip) {
    const auto take = [&](const at::Tensor& all) { return all.slice(0, clip, clip + 1); };
    training.batch = {take(batch.x_t), take(batch.v), take(batch.t), take(batch.action)};
    const auto one = training.gradients(1);
    for (std::size_t i = 0; i < one.of.size(); ++i) {
      const auto share = one.of[i] / clips;
      if (clip == 0)
        expected.push_back(share);
      else
        expected[i] = expected[i] + share;
    }
  }
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(sum.of[i].equal(expected[i])) << training.weights.parameters.names[i];
}

TEST(Mmdit, AbandonsTheBatchWhenAskedToStop) {
  Training training;
  Harness network("mmdit", "{}", "{device: cpu, model: " + model + "}", &training.run);
  network.start();
  training.run.stop();
  EXPECT_FALSE(network.run<Gradients>(0, training.batch, training.weights));
}

class EveryOptimizer : public testing::TestWithParam<Optimizer> {};

INSTANTIATE_TEST_SUITE_P(All, EveryOptimizer, testing::Values(muon, adamw),
                         [](const auto& each) { return each.param.type; });

TEST_P(EveryOptimizer, StepsLowerTheLossAndNeverWriteWhatWasSent) {
  Training training(GetParam());
  std::vector<at::Tensor> copies;
  const auto first = training.weights;
  for (const auto& tensor : first.parameters.tensors) copies.push_back(tensor.clone());
  double before = 0, after = 0;
  for (std::uint64_t step = 0; step < 30; ++step) {
    const auto gradients = training.gradients(6);
    auto [weights, snapshot, report] = training.optimizer.run<Weights, Snapshot, Report>(step, gradients);
    EXPECT_EQ(report->step, static_cast<std::int64_t>(step) + 1);
    if (step == 0) before = report->loss;
    after = report->loss;
    training.weights = *weights;
  }
  EXPECT_LT(after, 0.9 * before);
  for (std::size_t i = 0; i < copies.size(); ++i) EXPECT_TRUE(first.parameters.tensors[i].equal(copies[i]));
}

TEST(Muon, TheRateRisesAndFallsWithTheRun) {
  RunStub run;
  Harness optimizer("muon", "{lr_adam: 1, warmup: 0.1}", top, &run);
  const auto weights = *optimizer.start<Weights>();
  Gradients zero;
  for (const auto& tensor : weights.parameters.tensors) zero.of.push_back(torch::zeros_like(tensor));
  const auto rate = [&](std::uint64_t step) {
    return std::get<2>(optimizer.run<Weights, Snapshot, Report>(step, zero))->lr_adam;
  };
  EXPECT_EQ(rate(0), 0);
  EXPECT_NEAR(rate(5), 0.5, 1e-9);
  EXPECT_NEAR(rate(10), 1, 1e-9);
  EXPECT_NEAR(rate(55), 0.5, 1e-9);
  EXPECT_NEAR(rate(100), 0, 1e-9);
}

TEST_P(EveryOptimizer, WantsARunThatEnds) {
  RunStub run;
  run.length = 0;
  EXPECT_THROW(Harness(GetParam().type, "{}", top, &run).start<Weights>(), graph::Error);
}

TEST(Checkpoint, WritesEverySoManyStepsAndTheLast) {
  Training training;
  RunStub run;
  Harness checkpoint("checkpoint", "{every: 2}", "{model: " + model + "}", &run);
  checkpoint.start();
  at::Tensor last;
  for (std::uint64_t step = 0; step < 3; ++step) {
    auto [weights, snapshot, report] =
        training.optimizer.run<Weights, Snapshot, Report>(step, training.gradients(6));
    checkpoint.run<>(step, *snapshot);
    last = weights->parameters.at("norm.w");
  }
  checkpoint.finish();
  const auto folder = run.folder() / "checkpoints";
  EXPECT_TRUE(std::filesystem::exists(folder / "step-000002.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(folder / "step-000001.safetensors"));
  const auto file = model::load(folder / "step-000003.safetensors");
  EXPECT_EQ(file.config.d_model, 32);
  EXPECT_TRUE(file.parameters.at("norm.w").equal(last));
}

// A folder that some snapshots were saved into, one a step.
struct Saving {
  explicit Saving(const std::string& params, const Optimizer& of = muon)
      : training(of), checkpoint("checkpoint", params, "{model: " + model + "}", &run) {
    checkpoint.start();
  }
  void save(std::optional<double> val_loss = {}) {
    auto snapshot =
        *std::get<1>(training.optimizer.run<Weights, Snapshot, Report>(number, training.gradients(6)));
    snapshot.val_loss = val_loss;
    checkpoint.run<>(number++, snapshot);
  }
  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(run.folder() / "checkpoints"))
      names.insert(file.path().filename().string());
    return names;
  }
  nlohmann::json index() const {
    return nlohmann::json::parse(std::ifstream(run.folder() / "checkpoints" / "index.json"));
  }

  Training training;
  RunStub run;
  Harness checkpoint;
  std::uint64_t number = 0;
};

TEST(Checkpoint, KeepsTheNewestWhereNothingWasValidated) {
  Saving saving("{every: 1, keep: 2}");
  for (int i = 0; i < 5; ++i) saving.save();
  EXPECT_EQ(saving.files(), (std::set<std::string>{"index.json", "resume.safetensors",
                                                   "step-000004.safetensors", "step-000005.safetensors"}));
  EXPECT_EQ(saving.index()["latest"], "step-000005.safetensors");
}

TEST(Checkpoint, KeepsTheBestAndTheLatest) {
  Saving saving("{every: 1, keep: 2}");
  for (const double loss : {0.5, 0.2, 0.4, 0.3, 0.6}) saving.save(loss);
  EXPECT_EQ(saving.files(),
            (std::set<std::string>{"index.json", "resume.safetensors", "step-000002.safetensors",
                                   "step-000004.safetensors", "step-000005.safetensors"}));
  EXPECT_EQ(saving.index()["best_first"][0]["file"], "step-000002.safetensors");
  EXPECT_EQ(saving.index()["best_first"][0]["val_loss"], 0.2);
}

TEST(Checkpoint, TheIndexIsMadeAnewFromTheFolder) {
  Saving saving("{every: 1, keep: 3}");
  for (const double loss : {0.5, 0.2, 0.4}) saving.save(loss);
  const auto folder = saving.run.folder() / "checkpoints";
  const auto whole = saving.index();
  std::ofstream(folder / "index.json") << "{\"latest\": \"step-9";
  std::ofstream(folder / "step-000001.safetensors") << "torn";
  std::filesystem::copy(folder / "step-000002.safetensors", folder / "step-000002-mine.safetensors");
  saving.run.first_number = 3;
  Harness again("checkpoint", "{every: 1, keep: 3}", "{model: " + model + "}", &saving.run);
  again.start();
  auto without_torn = whole;
  without_torn["best_first"].erase(2);
  EXPECT_EQ(saving.index(), without_torn);
  std::filesystem::remove(folder / "step-000002.safetensors");
  Harness third("checkpoint", "{every: 1, keep: 3}", "{model: " + model + "}", &saving.run);
  third.start();
  EXPECT_EQ(saving.index()["best_first"].size(), 1u);
  EXPECT_TRUE(std::filesystem::exists(folder / "step-000002-mine.safetensors"));
}

TEST_P(EveryOptimizer, GoesOnToTheSameWeightsToTheBit) {
  Saving saving("{every: 1}", GetParam());
  auto& training = saving.training;
  const auto step = [&](Harness& optimizer, std::uint64_t n) {
    return *std::get<0>(optimizer.run<Weights, Snapshot, Report>(n, training.gradients(6)));
  };
  for (int i = 0; i < 3; ++i) saving.save();
  training.weights = *Harness(GetParam().type, "{}", top, &training.run).start<Weights>();
  RunStub& resumed = saving.run;
  resumed.first_number = 3;
  Harness later(GetParam().type, GetParam().params, top, &resumed);
  const auto taken_up = *later.start<Weights>();
  for (std::uint64_t n = 3; n < 6; ++n) {
    const auto never_stopped = step(training.optimizer, n), went_on = step(later, n);
    for (std::size_t i = 0; i < went_on.parameters.size(); ++i)
      ASSERT_TRUE(went_on.parameters.tensors[i].equal(never_stopped.parameters.tensors[i])) << n;
  }
  EXPECT_FALSE(taken_up.parameters.tensors[0].equal(training.weights.parameters.tensors[0]));
}

TEST_P(EveryOptimizer, DoesNotGoOnFromAnothersState) {
  const auto& other = GetParam().type == "muon" ? adamw : muon;
  Saving saving("{every: 1}", other);
  saving.save();
  saving.run.first_number = 1;
  const auto refused =
      complaint([&] { Harness(GetParam().type, GetParam().params, top, &saving.run).start<Weights>(); });
  expect_in(refused, "is the state of a run with '" + other.type + "'");
}

TEST_P(EveryOptimizer, StartsFromWeightsThatWereToldFewerPastActions) {
  const tests::Folder folder;
  const auto path = folder / "old.safetensors";
  const auto start = [&] {
    return Harness(GetParam().type, "{init: " + path.string() + "}", top).start<Weights>()->parameters;
  };
  auto config = tests::tiny_model();
  config.predicts = "velocity";
  for (const int told : {0, 1}) {
    config.n_past_actions = told;
    tests::save_fresh(path, config);
    const auto old = model::load(path).parameters, first = start();
    for (const auto& name : old.names) {
      const auto& tensor = old.at(name);
      EXPECT_TRUE(first.at(name).narrow(0, 0, tensor.size(0)).equal(tensor)) << name;
    }
    EXPECT_EQ(first.at("past_action_emb.weight").narrow(0, told, 2 - told).abs().max().item<float>(), 0);
  }
  config.n_past_actions = 3;
  tests::save_fresh(path, config);
  expect_in(complaint(start), "is another model");
}

TEST_P(EveryOptimizer, StartsFromOldWeightsWithAFreshOptimizer) {
  Saving saving("{every: 1}", GetParam());
  saving.save();
  const auto path = saving.run.folder() / "checkpoints" / "step-000001.safetensors";
  const auto old = model::load(path);
  RunStub run;
  const auto params = "{init: " + saving.run.folder().string() + "}";
  const auto first = *Harness(GetParam().type, params, top, &run).start<Weights>();
  for (std::size_t i = 0; i < old.parameters.size(); ++i)
    EXPECT_TRUE(first.parameters.tensors[i].equal(old.parameters.tensors[i]));
  EXPECT_THROW(Harness(GetParam().type, params,
                       "{model: {d_model: 32, n_heads: 4, n_blocks: 2, patch_size: 6, n_window: 4, "
                       "stem: linear}}",
                       &run)
                   .start<Weights>(),
               graph::Error)
      << "the same shapes, but other heads";
}

// Snapshots of `weights` and clips of noise to validate them on.
struct Validating {
  explicit Validating(const std::string& params, const std::string& more = "")
      : stage("validate", params,
              "{seed: 1, device: cpu, model: " + model.substr(0, model.size() - 1) + more + "}}", &run) {
    stage.start();
    held_out.clips = {torch::rand({5, 4, 3, 24, 24}) * 2 - 1, torch::randint(1, 4, {5, 4})};
  }
  // The loss by level after `step`; empty where it was not measured.
  std::vector<double> at(std::int64_t step, const model::Parameters& weights,
                         const model::Parameters& ema = {}) {
    auto state = std::make_shared<model::TrainState>();
    state->step = step;
    state->weights = weights;
    state->ema = ema;
    const auto [snapshot, report] = stage.run<Snapshot, Report>(
        static_cast<std::uint64_t>(step), Snapshot{state, {}}, Report{.step = step}, held_out);
    std::vector<double> losses;
    double sum = 0;
    for (const auto& [level, loss] : report->val_loss_at) {
      losses.push_back(loss);
      sum += loss;
    }
    EXPECT_EQ(snapshot->val_loss.has_value(), !losses.empty());
    if (!losses.empty()) {
      EXPECT_NEAR(*snapshot->val_loss, sum / 6, 1e-9);
    }
    EXPECT_EQ(snapshot->state, state);
    return losses;
  }

  RunStub run;
  stages::HeldOut held_out;
  Harness stage;
};

TEST(Validate, MeasuresEverySoManyStepsAndTheLast) {
  const Training training;
  Validating validating("{every: 3}");
  validating.run.length = 8;
  for (std::int64_t step = 1; step <= 8; ++step)
    EXPECT_EQ(validating.at(step, training.weights.parameters).size(), step % 3 == 0 || step == 8 ? 6u : 0u)
        << step;
}

TEST(Validate, OfAPredictionOfZeroIsWhatThereWasToPredict) {
  // Zero gates predict zero: of a velocity x0 - z the mean square is 1/3 + 1 at every level, of data 1/3.
  for (const auto& [predicts, expected] : {std::pair("velocity", 4.0 / 3), std::pair("data", 1.0 / 3)}) {
    Validating validating("{every: 1}", std::string(", init: zero_gates, predicts: ") + predicts);
    auto config = tests::tiny_model();
    config.init = "zero_gates";
    const auto losses = validating.at(1, model::Mmdit(config).initialise(1));
    ASSERT_EQ(losses.size(), 6u);
    for (const double loss : losses) EXPECT_NEAR(loss, expected, 0.05);
    // The clips' own numbers, the same at every level.
    EXPECT_NEAR(losses[0], losses[5], 1e-5);
  }
}

TEST(Validate, GivesTheSameFiguresToTheBitAndOthersForOtherWeights) {
  const Training training;
  const auto& weights = training.weights.parameters;
  Validating validating("{every: 1, micro_batch: 2}");
  const auto once = validating.at(1, weights);
  EXPECT_EQ(validating.at(2, weights), once);
  auto other = weights;
  other.tensors[0] = other.tensors[0] + 0.1;
  EXPECT_NE(validating.at(3, other), once);
  EXPECT_EQ(validating.at(4, other, weights), once) << "the running mean is what plays";
  // The levels differ.
  EXPECT_EQ(std::set<double>(once.begin(), once.end()).size(), 6u);
}

// A frame of noise is predicted from what is before it, so how much of that can be seen tells.
TEST(Validate, PredictsBehindThePastAtItsLevelOfNoise) {
  const Training training;
  const auto& weights = training.weights.parameters;
  Validating clean("{every: 1, context_noise: 0.1}"), noisy("{every: 1, context_noise: 1}");
  EXPECT_NE(clean.at(1, weights), noisy.at(1, weights));
}

TEST(Validate, LeavesOutFramesWithLessPast) {
  auto config = tests::tiny_model();
  config.init = "zero_gates";
  const auto weights = model::Mmdit(config).initialise(1);
  const auto loss_of = [&](const std::string& params) {
    Validating validating(params, ", init: zero_gates, predicts: data");
    validating.held_out.clips.frames.narrow(1, 0, 2).fill_(0);  // as is predicted
    return validating.at(1, weights).front();
  };
  EXPECT_NEAR(loss_of("{every: 1, least_past: 2}"), 2 * loss_of("{every: 1}"), 0.01);
}

TEST(Validate, PassesOnWithoutHeldOutClipsOrWhenAskedToStop) {
  const Training training;
  Validating validating("{every: 1}");
  auto state = std::make_shared<model::TrainState>();
  state->step = 1;
  const auto [snapshot, report] =
      validating.stage.run<Snapshot, Report>(0, Snapshot{state, {}}, Report{.step = 1}, tests::Nothing{});
  EXPECT_FALSE(snapshot->val_loss);
  EXPECT_TRUE(report->val_loss_at.empty());
  validating.run.stop();
  EXPECT_TRUE(validating.at(1, training.weights.parameters).empty());
  EXPECT_FALSE(validating.stage.finish<Snapshot>());
}

TEST(Validate, ARunThatDidNotKnowItsEndIsMeasuredThere) {
  const Training training;
  Validating validating("{every: 2}");
  validating.run.length = 0;
  EXPECT_TRUE(validating.at(3, training.weights.parameters).empty());
  const auto last = validating.stage.finish<Snapshot>();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->state->step, 3);
  EXPECT_TRUE(last->val_loss);
  validating.at(4, training.weights.parameters);
  EXPECT_FALSE(validating.stage.finish<Snapshot>()) << "it is measured already";
}

TEST(Metrics, WriteALineMoreForAValidatedStep) {
  RunStub run;
  Harness metrics("metrics", "{}", "{}", &run);
  metrics.start();
  metrics.run<>(0, Report{.step = 1, .loss = 0.5, .val_loss_at = {{1, 0.5}, {0.1, 0.25}}});
  metrics.finish();
  std::ifstream file(run.folder() / "metrics.jsonl");
  std::string line;
  std::getline(file, line);
  std::getline(file, line);
  EXPECT_EQ(line, R"({"step":1,"val_loss":0.375,"val_loss_at":{"1":0.5,"0.1":0.25}})");
}

TEST(Metrics, TakesBackTheLinesThatWillBeRepeated) {
  RunStub run;
  const auto path = run.folder() / "metrics.jsonl";
  std::ofstream(path) << R"({"step":1,"loss":0.5}
{"step":2,"loss":0.4}
{"step":2,"val_loss":0.4}
{"step":3,"loss":0.3}
{"step":4,"lo)";
  run.first_number = 2;
  run.seconds = 100;
  Harness metrics("metrics", "{}", "{}", &run);
  metrics.start();
  metrics.run<>(2, Report{3, 0.31, 0.02, 0.001, 1.5, 64, 0.1});
  metrics.finish();
  std::ifstream file(path);
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[3]["step"], 3);
  EXPECT_EQ(lines[3]["loss"], 0.31);
  EXPECT_GE(lines[3]["seconds"], 100);
}

TEST(Metrics, WritesALineAStep) {
  RunStub run;
  Harness metrics("metrics", "{}", "{}", &run);
  metrics.start();
  for (std::int64_t step = 1; step <= 3; ++step)
    metrics.run<>(static_cast<std::uint64_t>(step), Report{step, 0.5, 0.02, 0.001, 1.5, 64, 0.1});
  metrics.finish();
  std::ifstream file(run.folder() / "metrics.jsonl");
  std::int64_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json["step"], lines + 1);
    EXPECT_EQ(json["loss"], 0.5);
    for (const auto* key : {"lr_muon", "lr_adam", "grad_norm", "frames_per_second", "seconds"})
      EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(lines, 3);
}

}  // namespace
