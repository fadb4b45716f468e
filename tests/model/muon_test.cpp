// muon_test: each rule of the optimizer, and states that nobody overwrites.
#include "stages/model/muon.h"

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <cmath>
#include <set>
#include <thread>

#include "stages/model/schedule.h"
#include "tests/model/golden.h"

namespace {

using model::Muon;
using model::Parameters;
using model::Rates;
using model::Step;
using model::TrainState;

Parameters small() {
  Parameters weights;
  weights.add("blocks.0.wide", at::randn({4, 6}));
  weights.add("blocks.0.tall", at::randn({8, 4}));
  weights.add("blocks.0.bias", at::randn({6}));
  weights.add("head", at::randn({3, 5}));
  return weights;
}

std::vector<at::Tensor> gradients_like(const Parameters& weights, double scale = 1) {
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& weight : weights.tensors) gradients.push_back(at::randn_like(weight) * scale);
  return gradients;
}

TEST(Muon, GroupsAsTheReferenceDoes) {
  EXPECT_TRUE(model::updated_by_muon("blocks.0.modulation.1.weight", at::zeros({6, 2})));
  EXPECT_TRUE(model::updated_by_muon("rope_seq.sins", at::zeros({1, 4, 1, 2})));
  EXPECT_FALSE(model::updated_by_muon("blocks.0.norm1.w", at::zeros({6})));
  EXPECT_FALSE(model::updated_by_muon("patch.x_embedder.weight", at::zeros({6, 2})));
}

TEST(Muon, OrthogonalisesWideAndTallMatrices) {
  for (const auto& [rows, columns] : {std::pair(12, 40), std::pair(40, 12)}) {
    const at::Tensor values =
        std::get<1>(torch::linalg_svd(model::orthogonalise(at::randn({rows, columns}))));
    EXPECT_GT(values.min().item<double>(), 0.6);
    EXPECT_LT(values.max().item<double>(), 1.25);
  }
}

TEST(Muon, InBfloat16TheSameUpToItsRounding) {
  const at::Tensor matrix = at::empty({24, 48}).normal_(0, 1, at::detail::createCPUGenerator(1));
  const at::Tensor exact = model::orthogonalise(matrix),
                   rounded = model::orthogonalise(matrix, 5, at::kBFloat16);
  EXPECT_EQ(rounded.scalar_type(), at::kBFloat16);
  const double apart = golden::relative_difference(rounded, exact);
  EXPECT_GT(apart, 1e-3);
  EXPECT_LT(apart, 0.1);
  EXPECT_THROW(Muon({.ns_precision = "float16"}), std::invalid_argument);
}

TEST(Muon, FirstAdamStepMovesEveryNumberByTheRate) {
  Muon muon({.weight_decay = 0});
  const Parameters weights = small();
  const auto before = muon.start(weights);
  const auto after = muon.step(before, gradients_like(weights), {0, 1e-3}).state;
  EXPECT_LT(((after->weights.at("head") - weights.at("head")).abs() - 1e-3).abs().max().item<double>(), 1e-6);
  EXPECT_TRUE(at::equal(after->weights.at("blocks.0.wide"), weights.at("blocks.0.wide")));
}

TEST(Muon, ClipsTheGradientAndReportsItsFullNorm) {
  const Parameters weights = small();
  const std::vector<at::Tensor> gradients = gradients_like(weights, 100);
  double squares = 0;
  for (const at::Tensor& gradient : gradients) squares += gradient.square().sum().item<double>();
  Muon clipped({}), unclipped({.clip = 0});
  const Step a = clipped.step(clipped.start(weights), gradients, {}),
             b = unclipped.step(unclipped.start(weights), gradients, {});
  EXPECT_NEAR(a.grad_norm / std::sqrt(squares), 1, 1e-5);
  EXPECT_EQ(a.grad_norm, b.grad_norm);
  // The momentum after one step is a twentieth (Muon) or a tenth (Adam) of the gradient that counted.
  EXPECT_NEAR((a.state->first[3].norm() / b.state->first[3].norm()).item<double>(), 10 / a.grad_norm, 1e-4);
}

TEST(Muon, RefusesGradientsThatAreNotFinite) {
  Muon muon({});
  const Parameters weights = small();
  std::vector<at::Tensor> gradients = gradients_like(weights);
  gradients[2][0] = std::nan("");
  const auto state = muon.start(weights);
  EXPECT_NE(golden::refusal<std::runtime_error>([&] { muon.step(state, gradients, {}); }).find("not finite"),
            std::string::npos);
  gradients.pop_back();
  EXPECT_THROW(muon.step(state, gradients, {}), std::invalid_argument);
}

TEST(Muon, TheMeanFollowsTheWeightsAndLooksBackLessFarAtFirst) {
  Muon muon({.ema = 0.9});
  const Parameters weights = small();
  auto state = muon.start(weights);
  at::Tensor expected = weights.at("head").clone();
  for (int step = 1; step <= 3; ++step) {
    state = muon.step(state, gradients_like(weights), {0.02, 1e-2}).state;
    const double keep = std::min(0.9, (1.0 + step) / (10.0 + step));
    expected = keep * expected + (1 - keep) * state->weights.at("head");
    EXPECT_LT(golden::largest_difference(state->ema.at("head"), expected), 1e-6);
  }
  EXPECT_TRUE(Muon({}).start(weights)->ema.empty());
}

std::set<const void*> memory_of(const TrainState& state) {
  std::set<const void*> memory;
  for (const auto* tensors : {&state.weights.tensors, &state.ema.tensors, &state.first, &state.second}) {
    for (const at::Tensor& tensor : *tensors) {
      if (tensor.defined()) memory.insert(tensor.data_ptr());
    }
  }
  return memory;
}

TEST(TrainState, IsNeverOverwrittenWhileSomebodyHoldsIt) {
  Muon muon({.ema = 0.9});
  const Parameters weights = small();
  auto state = muon.start(weights);
  std::vector<std::shared_ptr<const TrainState>> held;
  std::vector<std::vector<at::Tensor>> copies;
  for (int step = 0; step < 8; ++step) {
    state = muon.step(state, gradients_like(weights), {0.02, 1e-2}).state;
    if (step % 3 != 0) continue;
    held.push_back(state);
    copies.emplace_back();
    for (const at::Tensor& tensor : state->weights.tensors) copies.back().push_back(tensor.clone());
  }
  for (std::size_t i = 0; i < held.size(); ++i) {
    for (std::size_t k = 0; k < copies[i].size(); ++k)
      EXPECT_TRUE(at::equal(held[i]->weights.tensors[k], copies[i][k]));
  }
}

TEST(TrainState, ATensorOrAViewOfItKeepsTheWholeState) {
  Muon muon({});
  const Parameters weights = small();
  auto state = muon.step(muon.start(weights), gradients_like(weights), {0.02, 1e-2}).state;
  const at::Tensor row = state->weights.tensors[0][1], copy = row.clone();
  const Parameters parameters = state->weights;
  const at::Tensor whole = parameters.tensors[3].clone();
  for (int step = 0; step < 4; ++step) state = muon.step(state, gradients_like(weights), {0.02, 1e-2}).state;
  EXPECT_TRUE(at::equal(row, copy));
  EXPECT_TRUE(at::equal(parameters.tensors[3], whole));
}

TEST(TrainState, MemoryIsRecycledOnceNobodyHoldsIt) {
  Muon muon({.ema = 0.9});
  const Parameters weights = small();
  auto state = muon.start(weights);
  std::set<const void*> seen;
  for (int step = 0; step < 3; ++step) {
    state = muon.step(state, gradients_like(weights), {0.02, 1e-2}).state;
    seen.merge(memory_of(*state));
  }
  const std::size_t settled = seen.size();
  for (int step = 0; step < 10; ++step) {
    state = muon.step(state, gradients_like(weights), {0.02, 1e-2}).state;
    seen.merge(memory_of(*state));
  }
  EXPECT_EQ(seen.size(), settled);
}

TEST(TrainState, RecyclingDoesNotChangeTheNumbers) {
  const Parameters weights = small();
  std::vector<std::vector<at::Tensor>> gradients;
  for (int step = 0; step < 6; ++step) gradients.push_back(gradients_like(weights));
  const auto train = [&](bool hold) {
    Muon muon({.ema = 0.9});
    std::vector<std::shared_ptr<const TrainState>> held;
    auto state = muon.start(weights);
    for (const auto& each : gradients) {
      state = muon.step(state, each, {0.02, 1e-2}).state;
      if (hold) held.push_back(state);
    }
    return state;
  };
  const auto recycled = train(false), fresh = train(true);
  EXPECT_EQ(recycled->step, 6);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_TRUE(at::equal(recycled->weights.tensors[i], fresh->weights.tensors[i]));
    EXPECT_TRUE(at::equal(recycled->ema.tensors[i], fresh->ema.tensors[i]));
    EXPECT_TRUE(at::equal(recycled->first[i], fresh->first[i]));
  }
}

TEST(TrainState, ReadersOnOtherThreadsSeeWholeStates) {
  Muon muon({});
  Parameters weights;
  for (int i = 0; i < 8; ++i) weights.add("w" + std::to_string(i), at::zeros({64}));
  // Equal gradients everywhere, so every number of a state must be the same.
  const std::vector<at::Tensor> gradients(8, at::ones({64}));
  std::shared_ptr<const TrainState> latest = muon.start(weights);
  std::mutex mutex;
  std::atomic<bool> done = false;
  std::atomic<int> torn = 0;
  std::thread reader([&] {
    while (!done) {
      std::shared_ptr<const TrainState> held;
      {
        const std::scoped_lock lock(mutex);
        held = latest;
      }
      const float first = held->weights.tensors[0].data_ptr<float>()[0];
      for (const at::Tensor& tensor : held->weights.tensors) {
        for (std::int64_t i = 0; i < tensor.numel(); ++i) torn += tensor.data_ptr<float>()[i] != first;
      }
    }
  });
  for (int step = 0; step < 300; ++step) {
    std::shared_ptr<const TrainState> next = muon.step(latest, gradients, {0.02, 1e-2}).state;
    const std::scoped_lock lock(mutex);
    latest = std::move(next);
  }
  done = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

}  // namespace
