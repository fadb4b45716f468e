// cores_test: what is computed on one thread and on several is the same to the bit.
#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <vector>

#include "stages/model/mmdit.h"
#include "stages/model/muon.h"

namespace {

using Tensors = std::vector<at::Tensor>;

// What `work` gives on so many threads, whether there are cores for them or not.
template <class Work>
Tensors on(int threads, const Work& work) {
  const tbb::global_control allowed(tbb::global_control::max_allowed_parallelism, 4);
  tbb::task_arena arena(threads);
  return arena.execute(work);
}

template <class Work>
void expect_same_bits(const Work& work) {
  const Tensors alone = on(1, work);
  for (const int threads : {2, 3, 4, 4, 4}) {  // some times, since who takes which part is chance
    const Tensors together = on(threads, work);
    ASSERT_EQ(together.size(), alone.size());
    for (std::size_t i = 0; i < alone.size(); ++i)
      EXPECT_TRUE(at::equal(together[i], alone[i])) << threads << " threads, tensor " << i;
  }
}

// Wide enough for every kernel to be cut into parts, with tails of rows and columns.
struct Cores : testing::Test {
  void SetUp() override { at::manual_seed(13); }

  const model::Config config{
      .n_window = 4, .patch_size = 4, .n_heads = 4, .d_model = 64, .n_blocks = 2, .n_registers = 2};
  const model::Mmdit network{config};
  const model::Parameters weights = network.initialise(3);
};

TEST_F(Cores, DoNotChangeTheForwardPassNorGradients) {
  const std::int64_t B = 2, T = 5;
  const at::Tensor x = at::randn({B, T, config.patches(), config.patch_dim()}), v = at::randn(x.sizes()),
                   t = at::rand({B, T}), action = at::randint(config.n_actions, {B, T}, at::kLong);
  for (const auto products : {model::Products::float32, model::fastest_products()}) {
    expect_same_bits([&] {
      const model::Parameters leaves = weights.leaves();
      const at::Tensor prediction = network.forward(leaves, x, t, action, 0, products);
      Tensors results = torch::autograd::grad({network.loss(prediction, x, v, t)}, leaves.tensors);
      results.push_back(prediction.detach());
      return results;
    });
  }
}

TEST_F(Cores, DoNotChangeAFrameOfPlay) {
  const std::int64_t players = 2, past = config.n_window - 1;
  const auto packed = network.pack(weights);
  model::KvCache one(config), other(config);
  const std::vector<model::KvCache*> caches{&one, &other};
  network.prefill(*packed, at::randn({players, past, config.patches(), config.patch_dim()}),
                  at::rand({players, past}), at::randint(config.n_actions, {players, past}, at::kLong),
                  caches);
  const at::Tensor x = at::randn({players, config.patches(), config.patch_dim()}), t = at::rand({players}),
                   action = at::randint(config.n_actions, {players}, at::kLong);
  expect_same_bits([&] { return Tensors{network.forward_cached(*packed, x, t, action, caches, false)}; });
}

TEST_F(Cores, DoNotChangeAStepOfTheOptimizer) {
  Tensors gradients;
  for (const at::Tensor& weight : weights.tensors) gradients.push_back(at::randn_like(weight));
  expect_same_bits([&] {
    model::Muon muon({.ema = 0.9});
    auto state = muon.start(weights);
    Tensors results;
    for (int step = 0; step < 2; ++step) {
      const model::Step next = muon.step(state, gradients, {0.02, 1e-3});
      state = next.state;
      results.push_back(at::full({}, next.grad_norm, at::kDouble));
    }
    for (const auto* tensors : {&state->weights.tensors, &state->ema.tensors, &state->first, &state->second})
      for (const at::Tensor& tensor : *tensors)
        if (tensor.defined()) results.push_back(tensor);
    return results;
  });
}

}  // namespace
