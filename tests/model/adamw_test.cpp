// adamw_test: the optimizer against its formulas, number by number, and what it adds to them.
#include "stages/model/adamw.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/model/golden.h"

namespace {

using model::AdamW;
using model::Parameters;

at::Tensor drawn(at::IntArrayRef sizes, std::uint64_t seed) {
  return at::empty(sizes).normal_(0, 1, at::detail::createCPUGenerator(seed));
}

Parameters small() {
  Parameters weights;
  weights.add("blocks.0.matrix", drawn({4, 6}, 1));
  weights.add("blocks.0.bias", drawn({6}, 2));
  weights.add("head", drawn({3, 5}, 3));
  return weights;
}

// Of one step; each parameter's own.
std::vector<at::Tensor> gradients_like(const Parameters& weights, std::uint64_t step) {
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& weight : weights.tensors)
    gradients.push_back(drawn(weight.sizes(), 100 * step + gradients.size()));
  return gradients;
}

// Algorithm 2 of the paper on one number, its two rates in one, in double precision.
struct Reference {
  void step(double g, double rate, const AdamW::Options& options) {
    ++n;
    m = options.beta1 * m + (1 - options.beta1) * g;
    v = options.beta2 * v + (1 - options.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(options.beta1, n)), v_hat = v / (1 - std::pow(options.beta2, n));
    w -= rate * (m_hat / (std::sqrt(v_hat) + options.eps) + options.weight_decay * w);
  }
  double w, m = 0, v = 0;
  int n = 0;
};

TEST(AdamW, IsThePapersAlgorithm) {
  const AdamW::Options options{.beta1 = 0.8, .beta2 = 0.9, .eps = 1e-3, .weight_decay = 0.3, .clip = 0};
  AdamW adamw(options);
  const Parameters weights = small();
  auto state = adamw.start(weights);
  std::vector<std::vector<Reference>> expected;
  for (const at::Tensor& weight : weights.tensors) {
    expected.emplace_back();
    for (std::int64_t k = 0; k < weight.numel(); ++k)
      expected.back().push_back({weight.flatten()[k].item<double>()});
  }
  for (std::uint64_t step = 0; step < 6; ++step) {
    const double rate = 0.1 / static_cast<double>(1 + step);
    const auto gradients = gradients_like(weights, step);
    state = adamw.step(state, gradients, rate).state;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const at::Tensor found = state->weights.tensors[i].flatten(), gradient = gradients[i].flatten();
      for (std::size_t k = 0; k < expected[i].size(); ++k) {
        const auto number = static_cast<std::int64_t>(k);
        expected[i][k].step(gradient[number].item<double>(), rate, options);
        EXPECT_NEAR(found[number].item<double>(), expected[i][k].w, 5e-6) << weights.names[i] << " " << step;
      }
    }
  }
  EXPECT_EQ(state->step, 6);
  EXPECT_EQ(state->optimizer, "adamw");
}

TEST(AdamW, DecaysWhatHasNoGradient) {
  AdamW adamw({.weight_decay = 0.5});
  const Parameters weights = small();
  std::vector<at::Tensor> zero;
  for (const at::Tensor& weight : weights.tensors) zero.push_back(at::zeros_like(weight));
  const auto state = adamw.step(adamw.start(weights), zero, 0.1).state;
  for (std::size_t i = 0; i < weights.size(); ++i)
    EXPECT_LT(golden::largest_difference(state->weights.tensors[i], 0.95 * weights.tensors[i]), 1e-6);
}

TEST(AdamW, ClipsAndKeepsARunningMean) {
  AdamW clipped({.weight_decay = 0, .clip = 0.5, .ema = 0.9}), whole({.weight_decay = 0, .clip = 0});
  const Parameters weights = small();
  const auto gradients = gradients_like(weights, 1);
  const auto a = clipped.step(clipped.start(weights), gradients, 1e-3),
             b = whole.step(whole.start(weights), gradients, 1e-3);
  EXPECT_EQ(a.grad_norm, b.grad_norm);
  EXPECT_NEAR((a.state->first[0].norm() / b.state->first[0].norm()).item<double>(), 0.5 / a.grad_norm, 1e-5);
  // After one step the mean has a share of 2/11 in what was before.
  const at::Tensor mean = weights.at("head") * (2.0 / 11) + a.state->weights.at("head") * (9.0 / 11);
  EXPECT_LT(golden::largest_difference(a.state->ema.at("head"), mean), 1e-6);
  EXPECT_TRUE(b.state->ema.empty());
}

TEST(AdamW, NamesItselfWhereItRefuses) {
  AdamW adamw({});
  const Parameters weights = small();
  auto gradients = gradients_like(weights, 1);
  gradients[1][0] = std::nan("");
  const auto text =
      golden::refusal<std::runtime_error>([&] { adamw.step(adamw.start(weights), gradients, 1e-3); });
  EXPECT_EQ(text.rfind("adamw: the gradient of step 1 is not finite", 0), 0u) << text;
}

}  // namespace
