// ops_test: the fused operations against the plain ones, values and gradients, on shapes with tails of every kind.
#include "stages/model/ops.h"

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "stages/model/attention.h"
#include "tests/model/golden.h"

namespace {

using at::Tensor;
using model::Config;
using model::fused_ops;
using model::Heads;
using model::Ops;
using model::plain_ops;
using model::Products;
using Tensors = std::vector<Tensor>;
// An operation on these inputs, with one set of operations or the other.
using Form = std::function<Tensors(const Ops& ops, const Tensors& inputs)>;

// What is differentiated, and by what.
struct Flow {
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  std::size_t constant = none;  // the input that wants no gradient
  std::size_t unused = none;    // the output that has none
  bool expanded = false;        // gradients of outputs are one number a row, with stride 0
};

// Of the largest number; a gradient that is not there is 0.
double difference(const Tensor& a, const Tensor& b) {
  if (!b.defined()) return a.defined() ? a.abs().max().item<double>() : 0;
  return (a - b).abs().max().item<double>() / std::max(1e-6, b.abs().max().item<double>());
}

Tensor gradient_like(const Tensor& output, bool expanded) {
  if (!expanded) return at::randn(output.sizes());
  std::vector<std::int64_t> rows = output.sizes().vec();
  rows.back() = 1;
  return at::rand(rows).expand(output.sizes());  // all above 0, or their sums may be nothing but rounding
}

std::vector<Products> all_products() {
  if (model::fastest_products() == Products::float32) return {Products::float32};
  return {Products::float32, Products::amx};
}

// Same outputs, and for random gradients of these the same gradients of the inputs.
void expect_same(const Form& form, const Tensors& inputs, const Flow& flow = {}, double on_amx = 5e-5) {
  struct Computed {
    Tensors outputs, gradients;
  };
  Tensors given;
  const auto compute = [&](const Ops& ops) {
    Tensors leaves, wanted, used;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      leaves.push_back(inputs[i].detach().clone().requires_grad_(i != flow.constant));
      if (i != flow.constant) wanted.push_back(leaves[i]);
    }
    const Tensors outputs = form(ops, leaves);
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (i != flow.unused && outputs[i].requires_grad()) used.push_back(outputs[i]);
    for (std::size_t i = given.size(); i < used.size(); ++i)
      given.push_back(gradient_like(used[i], flow.expanded));
    constexpr bool differentiable = false, some_unused = true;
    return Computed{outputs, torch::autograd::grad(used, wanted, given, {}, differentiable, some_unused)};
  };
  const Computed plain = compute(plain_ops());
  for (const Products products : all_products()) {
    SCOPED_TRACE(c10::str("inputs ", inputs[0].sizes(), " ", inputs[1].sizes(), ", constant ", flow.constant,
                          ", unused ", flow.unused, ", expanded ", flow.expanded,
                          products == Products::amx ? ", amx" : ""));
    // Of float32, for sums of some thousand products in another order.
    const double tolerance = products == Products::float32 ? 2e-5 : on_amx;
    const Ops& ops = fused_ops(products);
    const Computed fused = compute(ops);
    for (std::size_t i = 0; i < plain.outputs.size(); ++i) {
      ASSERT_EQ(fused.outputs[i].sizes(), plain.outputs[i].sizes());
      EXPECT_LT(difference(fused.outputs[i], plain.outputs[i]), tolerance) << "output " << i;
    }
    for (std::size_t i = 0; i < plain.gradients.size(); ++i)
      EXPECT_LT(difference(fused.gradients[i], plain.gradients[i]), tolerance) << "gradient " << i;
    // Without gradients another way is taken.
    const at::NoGradGuard no_grad;
    const Tensors again = form(ops, inputs);
    for (std::size_t i = 0; i < again.size(); ++i)
      EXPECT_TRUE(at::equal(again[i], fused.outputs[i])) << "output " << i;
  }
}

model::Sight sight_of(std::int64_t frames, std::int64_t past, std::int64_t tokens, std::int64_t window) {
  Config config;
  config.patch_size = 24;
  config.n_registers = tokens - 1;
  config.n_window = window;
  config.bidirectional = window == 0;
  return {frames, past, window, model::frame_mask(config, frames, past)};
}

// A score's error is one of its exponential, so scores of up to 10 make more of it.
constexpr double attention_on_amx = 2e-4;

struct FusedOps : testing::Test {
  void SetUp() override {
    if (!model::can_fuse({})) GTEST_SKIP() << "this processor has no AVX2";
    at::manual_seed(7);
  }
};

TEST_F(FusedOps, Linear) {
  for (const auto& [M, in, out] : {std::tuple{1, 8, 16},
                                   {37, 128, 384},
                                   {7, 27, 48},
                                   {600, 75, 17},
                                   {40, 600, 70},
                                   {300, 64, 96},
                                   {100, 48, 5}})
    expect_same(
        [](const Ops& ops, const Tensors& x) {
          return Tensors{ops.linear(x[0], {x[1], x[2]})};
        },
        {at::randn({1, M, in}), at::randn({out, in}), at::randn({out})});
}

TEST_F(FusedOps, ModulatedNorm) {
  const Form form = [](const Ops& ops, const Tensors& x) {
    const auto rows = x[2].chunk(6, -1);  // as a block has them: parts of wider rows
    return Tensors{ops.modulated_norm(x[0], x[1], rows[3], rows[4])};
  };
  for (const auto& [B, T, N, d] : {std::tuple{2, 3, 37, 128}, {1, 1, 1, 8}, {3, 2, 5, 24}})
    expect_same(form, {at::randn({B, T, N, d}), at::randn({d}), at::randn({B, T, 1, 6 * d})});
  // Shift and scale out of layers of different widths.
  expect_same(
      [](const Ops& ops, const Tensors& x) {
        return Tensors{ops.modulated_norm(x[0], x[1], x[2].narrow(3, 8, 16), x[3])};
      },
      {at::randn({2, 3, 5, 16}), at::randn({16}), at::randn({2, 3, 1, 40}), at::randn({2, 3, 1, 16})});
}

TEST_F(FusedOps, GatedSilu) {
  expect_same([](const Ops& ops, const Tensors& x) { return Tensors{ops.gated_silu(x[0], x[1])}; },
              {at::randn({2, 3, 5, 24}), at::randn({2, 3, 5, 24}) * 20});
}

TEST_F(FusedOps, GatedSum) {
  expect_same([](const Ops& ops,
                 const Tensors& x) { return Tensors{ops.gated_sum(x[0], x[1].chunk(2, -1)[1], x[2])}; },
              {at::randn({2, 3, 5, 24}), at::randn({2, 3, 1, 48}), at::randn({2, 3, 5, 24})});
}

TEST_F(FusedOps, Heads) {
  for (const auto& [B, S, H, d_head] : {std::tuple{2, 37, 4, 32}, {1, 9, 2, 8}, {3, 16, 3, 24}})
    for (const bool turns : {true, false})
      for (const bool of_one_player : {true, false}) {
        const Tensor phase = of_one_player ? at::randn({S, d_head}) : at::randn({B, 1, S, d_head});
        const model::Rotation rotation =
            turns ? model::Rotation{phase.cos(), phase.sin()} : model::Rotation{};
        expect_same(
            [&, heads = H](const Ops& ops, const Tensors& x) {
              const Heads result = ops.heads(x[0], x[1], x[2], rotation, heads);
              return Tensors{result.q, result.k, result.v};
            },
            {at::randn({B, S, 3 * H * d_head}), at::randn({d_head}), at::randn({d_head})});
      }
}

TEST_F(FusedOps, AttendClips) {
  struct Case {
    std::int64_t B, H, frames, past, asked, tokens, window, d_head;  // asked: frames that have queries
  };
  for (const auto& [B, H, frames, past, asked, tokens, window, d_head] : {Case{2, 3, 4, 0, 4, 5, 4, 8},
                                                                          {1, 2, 7, 0, 7, 17, 3, 24},
                                                                          {1, 1, 1, 0, 1, 37, 16, 32},
                                                                          {2, 2, 3, 0, 3, 16, 0, 16},
                                                                          {1, 2, 9, 0, 9, 19, 2, 40},
                                                                          {2, 2, 6, 3, 6, 5, 4, 8},
                                                                          {2, 2, 6, 3, 3, 5, 4, 8},
                                                                          {1, 2, 14, 7, 14, 17, 3, 24},
                                                                          {2, 3, 14, 7, 7, 17, 3, 24},
                                                                          {1, 2, 5, 0, 1, 16, 2, 16},
                                                                          {1, 1, 2, 1, 2, 80, 1, 16}}) {
    const model::Sight sight = sight_of(frames, past, tokens, window);
    const auto sizes = {B, H, frames * tokens, d_head};
    expect_same(
        [&](const Ops& ops, const Tensors& x) {
          return Tensors{ops.attend_clips({x[0], x[1], x[2]}, sight)};
        },
        {at::randn({B, H, asked * tokens, d_head}), at::randn(sizes), at::randn(sizes)}, {},
        attention_on_amx);
  }
}

// Gradients of so sharp a choice are but rounding errors, here and there, and its scores on AMX are, too.
TEST_F(FusedOps, AttentionStandsScoresThatNoFloatsExponentialHolds) {
  const at::NoGradGuard no_grad;
  const Heads heads{at::randn({1, 1, 6, 8}) * 30, at::randn({1, 1, 6, 8}) * 30, at::randn({1, 1, 6, 8})};
  const model::Sight sight{1, 0, 4, {}};
  EXPECT_LT(difference(fused_ops(Products::float32).attend_clips(heads, sight),
                       plain_ops().attend_clips(heads, sight)),
            1e-3);
  for (const Products products : all_products()) {
    const Tensor ones = fused_ops(products).attend_clips({heads.q, heads.k, at::ones_like(heads.v)}, sight);
    EXPECT_LT((ones - 1).abs().max().item<double>(), 1e-4) << "shares sum to 1";
  }
}

// A training that diverges must not look well.
TEST_F(FusedOps, WhatIsNoNumberStaysNone) {
  const at::NoGradGuard no_grad;
  const Tensor good = at::randn({1, 1, 6, 8});
  for (const float bad : {std::nanf(""), -std::nanf(""), std::nanf("0x7fffff"),
                          1e30F}) {  // 1e30 squared is infinite, and one infinity less another nothing
    const Tensor q = good.clone().fill_(bad);
    for (const Products products : all_products()) {
      const auto out = fused_ops(products).attend_clips({q, q, good}, {1, 0, 4, {}});
      EXPECT_TRUE(at::isnan(out).all().item<bool>()) << bad;
      const auto sum = fused_ops(products).linear(q, {at::randn({5, 8}), at::randn({5})});
      EXPECT_EQ(at::isnan(sum).sum().item<std::int64_t>(), std::isnan(bad) ? sum.numel() : 0) << bad;
    }
  }
  EXPECT_TRUE(at::isnan(fused_ops(Products::float32).gated_silu(good, good.clone().fill_(std::nan(""))))
                  .all()
                  .item<bool>());
}

TEST_F(FusedOps, AreDifferentiableOnceAndSayIt) {
  const Tensor x = at::randn({8}).requires_grad_();
  const Tensor y = fused_ops(Products::float32).gated_silu(x, x).sum();
  EXPECT_THROW(torch::autograd::grad({y}, {x}, {}, true, true), std::logic_error);
}

TEST_F(FusedOps, Convolve) {
  for (const auto& [F, H, W, in, out] :
       {std::tuple{2, 24, 24, 3, 16}, {1, 5, 7, 8, 21}, {3, 1, 1, 16, 16}, {1, 8, 12, 12, 12}})
    expect_same(
        [](const Ops& ops, const Tensors& x) {
          return Tensors{ops.convolve(x[0], {x[1], x[2]})};
        },
        {at::randn({F, H, W, in}), at::randn({out, in, 5, 5}), at::randn({out})});
}

TEST_F(FusedOps, SiluGroupNorm) {
  for (const auto& [F, H, W, C] : {std::tuple{2, 6, 6, 64}, {1, 3, 5, 32}, {2, 2, 2, 160}})
    expect_same(
        [](const Ops& ops, const Tensors& x) { return Tensors{ops.silu_group_norm(x[0], x[1], x[2])}; },
        {at::randn({F, H, W, C}), at::randn({C}), at::randn({C})});
}

// The same for sizes, and ways to differentiate, that nobody thought of.
struct FusedOpsOfAnySize : FusedOps {
  static constexpr int draws = 12;

  std::int64_t draw(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random);
  }
  // Each input is as often constant as none is, and each of several outputs as often unused.
  Flow flow(std::int64_t inputs, std::int64_t outputs = 1) {
    const auto one_of = [&](std::int64_t count) {
      const auto which = static_cast<std::size_t>(draw(0, count));
      return which < static_cast<std::size_t>(count) ? which : Flow::none;
    };
    return {one_of(inputs), outputs > 1 ? one_of(outputs) : Flow::none, draw(0, 1) == 1};
  }

  std::mt19937 random{11};
};

TEST_F(FusedOpsOfAnySize, Linear) {
  for (int i = 0; i < draws; ++i) {
    const auto in = draw(5, 150), out = draw(8, 150);
    const Flow with = flow(3);
    expect_same(
        [](const Ops& ops, const Tensors& x) {
          return Tensors{ops.linear(x[0], {x[1], x[2]})};
        },
        {at::randn({draw(1, 3), draw(1, 120), in}), at::randn({out, in}), at::randn({out})}, with);
  }
}

// The rows of a block's modulation as they come, of tokens that stand before others.
TEST_F(FusedOpsOfAnySize, ModulatedNorm) {
  for (int i = 0; i < draws; ++i) {
    const auto B = draw(1, 3), T = draw(1, 4), N = draw(1, 90), d = 8 * draw(1, 25), beyond = draw(0, 2);
    const Flow with = flow(3);
    expect_same(
        [N](const Ops& ops, const Tensors& x) {
          const auto rows = x[2].chunk(2, -1);
          return Tensors{ops.modulated_norm(x[0].narrow(2, 0, N), x[1], rows[0], rows[1])};
        },
        {at::randn({B, T, N + beyond, d}), at::randn({d}), at::randn({B, T, 1, 2 * d})}, with);
  }
}

TEST_F(FusedOpsOfAnySize, Gates) {
  for (int i = 0; i < draws; ++i) {
    const auto B = draw(1, 3), T = draw(1, 4), N = draw(1, 90), d = 8 * draw(1, 25);
    const auto sizes = {B, T, N, d};
    expect_same([](const Ops& ops, const Tensors& x) { return Tensors{ops.gated_silu(x[0], x[1])}; },
                {at::randn(sizes), at::randn(sizes)}, flow(2));
    expect_same([](const Ops& ops, const Tensors& x) { return Tensors{ops.gated_sum(x[0], x[1], x[2])}; },
                {at::randn(sizes), at::randn({B, T, 1, d}), at::randn(sizes)}, flow(3));
  }
}

TEST_F(FusedOpsOfAnySize, Heads) {
  for (int i = 0; i < draws; ++i) {
    const auto d_head = i == 0 ? 512 : 8 * draw(1, 16), B = draw(1, 3), S = draw(2, 90), H = draw(1, 5);
    const Tensor phase = draw(0, 1) == 1 ? at::randn({S, d_head}) : at::randn({B, 1, S, d_head});
    const model::Rotation rotation =
        draw(0, 3) > 0 ? model::Rotation{phase.cos(), phase.sin()} : model::Rotation{};
    const Flow with = flow(3, 3);
    expect_same(
        [&](const Ops& ops, const Tensors& x) {
          const Heads result = ops.heads(x[0], x[1], x[2], rotation, H);
          return Tensors{result.q, result.k, result.v};
        },
        {at::randn({B, S, 3 * H * d_head}), at::randn({d_head}), at::randn({d_head})}, with);
  }
}

TEST_F(FusedOpsOfAnySize, AttendClips) {
  for (int i = 0; i < draws; ++i) {
    const auto d_head = i == 0 ? 512 : 8 * draw(1, 16), B = draw(1, 2), H = draw(1, 3);
    // Where a token sees nothing but itself, gradients are 0, and what is left is rounding.
    const auto time = draw(1, 4), tokens = draw(2, 90), window = draw(0, time + 1);
    const auto past = window > 0 ? draw(0, 1) * time : 0, frames = time + past, asked = draw(1, frames);
    const model::Sight sight = sight_of(frames, past, tokens, window);
    const auto sizes = {B, H, frames * tokens, d_head};
    const double moderate = std::pow(static_cast<double>(d_head), -0.25);  // scores about 1
    const Flow with = flow(3);
    expect_same(
        [&](const Ops& ops, const Tensors& x) {
          const Tensor queries = x[0].narrow(2, (frames - asked) * tokens, asked * tokens);
          return Tensors{ops.attend_clips({queries, x[1], x[2]}, sight)};
        },
        {at::randn(sizes) * moderate, at::randn(sizes) * moderate, at::randn(sizes)}, with, attention_on_amx);
  }
}

TEST_F(FusedOpsOfAnySize, Convolve) {
  for (int i = 0; i < draws; ++i) {
    const auto in = draw(1, 20), out = draw(4, 40);
    const Flow with = flow(3);
    expect_same(
        [](const Ops& ops, const Tensors& x) {
          return Tensors{ops.convolve(x[0], {x[1], x[2]})};
        },
        {at::randn({draw(1, 3), draw(2, 13), draw(2, 13), in}), at::randn({out, in, 5, 5}), at::randn({out})},
        with);
  }
}

TEST_F(FusedOpsOfAnySize, SiluGroupNorm) {
  for (int i = 0; i < draws; ++i) {
    const auto C = 32 * draw(1, 5);
    const Flow with = flow(3);
    expect_same(
        [](const Ops& ops, const Tensors& x) { return Tensors{ops.silu_group_norm(x[0], x[1], x[2])}; },
        {at::randn({draw(1, 3), draw(3, 9), draw(3, 9), C}), at::randn({C}), at::randn({C})}, with);
  }
}

}  // namespace
