// noise_test: the samplers of noise levels: what they draw, and how levels lie over the frames of a clip.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <string>
#include <tuple>
#include <vector>

#include "stages/random.h"
#include "stages/types.h"
#include "tests/complaint.h"
#include "tests/harness.h"

namespace {

using stages::NoisyPatches;
using stages::Patches;
using tests::Harness;

using Cdf = std::function<double(double)>;

const std::vector<std::string> samplers{"logit_normal_noise", "uniform_noise", "mode_noise",
                                        "cosmap_noise",       "beta_noise",    "mixture_noise"};

Patches patches(std::int64_t B, std::int64_t T) {
  const auto random = stages::generator(0, 0, "noise_test");
  return {torch::rand({B, T, 2, 3}, random) * 2 - 1, torch::randint(1, 4, {B, T}, random), 24, 24, 6};
}

at::Tensor levels(const std::string& type, const std::string& params, std::int64_t B, std::int64_t T) {
  return Harness(type, params).run<NoisyPatches>(0, patches(B, T))->t;
}

// The largest distance of the levels' share below t from cdf(t), times the root of their number. A right sampler
// stays below 2.2 with a probability of 0.9999.
double kolmogorov_smirnov(const at::Tensor& t, const Cdf& cdf) {
  const auto sorted = std::get<0>(t.flatten().to(at::kDouble).sort());
  const auto* level = sorted.data_ptr<double>();
  const auto n = static_cast<double>(sorted.numel());
  double apart = 0;
  for (std::int64_t i = 0; i < sorted.numel(); ++i) {
    const double expected = cdf(level[i]), below = static_cast<double>(i) / n;
    apart = std::max({apart, expected - below, below + 1 / n - expected});
  }
  return apart * std::sqrt(n);
}

Cdf logit_normal(double mean, double spread) {
  return [=](double t) {
    return 0.5 * std::erfc(-(std::log(t / (1 - t)) - mean) / (spread * std::numbers::sqrt2));
  };
}

Cdf uniform(double low, double high) {
  return [=](double t) { return std::clamp((t - low) / (high - low), 0.0, 1.0); };
}

// t falls as u rises, so the share below t is 1 - u(t), found by bisection.
Cdf mode(double scale) {
  return [=](double t) {
    double low = 0, high = 1;
    for (int i = 0; i < 40; ++i) {
      const double u = (low + high) / 2, c = std::cos(std::numbers::pi / 2 * u);
      (1 - u - scale * (c * c - 1 + u) > t ? low : high) = u;
    }
    return 1 - low;
  };
}

double arcsine(double t) { return 2 / std::numbers::pi * std::asin(std::sqrt(t)); }

double cosmap(double t) { return 2 / std::numbers::pi * std::atan2(t, 1 - t); }

TEST(NoiseLevels, FollowTheirDistributions) {
  struct Case {
    std::string type, params;
    Cdf cdf;
  };
  const auto mixed = [](double t) { return logit_normal(1, 0.5)(t) / 4 + 3 * uniform(0, 0.4)(t) / 4; };
  const std::vector<Case> cases{
      {"logit_normal_noise", "{}", logit_normal(0, 1)},
      {"logit_normal_noise", "{mean: 0.5, std: 2}", logit_normal(0.5, 2)},
      {"uniform_noise", "{}", uniform(0, 1)},
      {"uniform_noise", "{low: 0.2, high: 0.7}", uniform(0.2, 0.7)},
      {"mode_noise", "{}", mode(1.29)},
      {"mode_noise", "{scale: 0}", uniform(0, 1)},
      {"mode_noise", "{scale: -1}", arcsine},
      {"cosmap_noise", "{}", cosmap},
      {"beta_noise", "{}", [](double t) { return std::pow(t, 1.5); }},
      {"beta_noise", "{alpha: 1, beta: 3}", [](double t) { return 1 - std::pow(1 - t, 3); }},
      {"beta_noise", "{alpha: 2, beta: 2}", [](double t) { return t * t * (3 - 2 * t); }},
      {"beta_noise", "{alpha: 0.5, beta: 0.5}", arcsine},
      {"mixture_noise", "{weights: {logit_normal: 1, uniform: 3}, mean: 1, std: 0.5, high: 0.4}", mixed},
      {"mixture_noise", "{weights: {mode: 2}, scale: -1}", arcsine},
      {"mixture_noise", "{weights: {cosmap: 2}}", cosmap},
      {"mixture_noise", "{weights: {beta: 2}, alpha: 2, beta: 2}",
       [](double t) { return t * t * (3 - 2 * t); }},
  };
  for (const auto& [type, params, cdf] : cases) {
    const auto t = levels(type, params, 200, 100);
    EXPECT_LT(kolmogorov_smirnov(t, cdf), 2.2) << type << " " << params;
    EXPECT_GE(t.min().item<float>(), 0) << type << " " << params;
    EXPECT_LE(t.max().item<float>(), 1) << type << " " << params;
    EXPECT_EQ(t.scalar_type(), at::kFloat) << type << " " << params;
  }
  EXPECT_GT(kolmogorov_smirnov(levels("logit_normal_noise", "{mean: 0.1}", 200, 100), logit_normal(0, 1)),
            2.2)
      << "so small a shift is seen";
}

TEST(Noise, AStepAlongTheVelocityGivesTheData) {
  const auto in = patches(256, 64);
  for (const auto& type : samplers) {
    const auto out = *Harness(type).run<NoisyPatches>(0, in);
    const auto t = out.t.unsqueeze(-1).unsqueeze(-1);
    EXPECT_TRUE(torch::allclose(out.x_t + t * out.v, in.x, 1e-5, 1e-5)) << type;
    const auto z = in.x - out.v;
    EXPECT_NEAR(z.mean().item<float>(), 0, 0.02) << type;
    EXPECT_NEAR(z.std().item<float>(), 1, 0.02) << type;
    EXPECT_TRUE(out.action.equal(in.action)) << type;
  }
}

TEST(Noise, DependsOnSeedAndNumberAlone) {
  const auto in = patches(2, 4);
  for (const auto& type : samplers)
    for (const std::string rest : {"per: frame", "per: clip", "context: prefix", "context: given"}) {
      Harness one(type, "{seed: 4, " + rest + "}"), two(type, "{" + rest + "}", "{seed: 4}");
      one.run<NoisyPatches>(0, in);
      const auto out = *one.run<NoisyPatches>(9, in), again = *two.run<NoisyPatches>(9, in),
                 next = *two.run<NoisyPatches>(10, in),
                 other = *Harness(type, "{seed: 5, " + rest + "}").run<NoisyPatches>(9, in);
      EXPECT_TRUE(out.t.equal(again.t) && out.x_t.equal(again.x_t)) << type << " " << rest;
      EXPECT_FALSE(out.t.equal(next.t) || out.v.equal(next.v)) << type << " " << rest;
      EXPECT_FALSE(out.t.equal(other.t) || out.v.equal(other.v)) << type << " " << rest;
    }
}

TEST(Noise, EachFrameOrEachClipHasALevel) {
  const std::int64_t B = 64, T = 8;
  for (const auto& type : samplers) {
    const auto frames = levels(type, "{per: frame}", B, T), clips = levels(type, "{per: clip}", B, T);
    EXPECT_EQ(clips.sizes(), (std::vector<std::int64_t>{B, T})) << type;
    EXPECT_TRUE(clips.equal(frames.slice(1, 0, 1).expand({B, T}))) << type;
    EXPECT_GT(frames.std(1).min().item<float>(), 0) << type;
    EXPECT_GT(clips.slice(1, 0, 1).std().item<float>(), 0.05) << type;
  }
}

TEST(Noise, APrefixIsABeginningOfRandomLengthAtALowLevel) {
  const std::int64_t B = 7000, T = 8;
  for (const std::string per : {"frame", "clip"}) {
    const auto drawn = levels("uniform_noise", "{per: " + per + "}", B, T),
               t = levels("uniform_noise", "{per: " + per + ", context: prefix, context_noise: 0.2}", B, T);
    const auto past = t != drawn;
    const auto length = past.sum(1, true);  // [B,1]
    EXPECT_TRUE(past.equal(torch::arange(T) < length)) << per;
    for (std::int64_t frames = 1; frames < T; ++frames)
      EXPECT_NEAR((length == frames).to(at::kFloat).mean().item<float>(), 1.0 / 7, 0.02)
          << per << " " << frames;
    EXPECT_TRUE(((length > 0) & (length < T)).all().item<bool>()) << per;
    const auto level = t.slice(1, 0, 1);
    EXPECT_TRUE(torch::where(past, t, level).equal(level.expand({B, T}))) << "one level a past, per " << per;
    EXPECT_LT(kolmogorov_smirnov(level, uniform(0, 0.2)), 2.2) << per;
  }
}

TEST(Noise, APrefixWithoutNoiseIsTheData) {
  const auto in = patches(16, 2);
  const auto out =
      *Harness("logit_normal_noise", "{context: prefix, context_noise: 0}").run<NoisyPatches>(0, in);
  EXPECT_TRUE(out.x_t.slice(1, 0, 1).equal(in.x.slice(1, 0, 1)));
  EXPECT_GT(out.t.slice(1, 1, 2).min().item<float>(), 0);
}

TEST(Noise, AClipOfOneFrameHasNoPrefix) {
  EXPECT_TRUE(levels("logit_normal_noise", "{context: prefix}", 16, 1)
                  .equal(levels("logit_normal_noise", "{}", 16, 1)));
}

TEST(Noise, AGivenPastIsTheClipNearlyCleanBeforeTheNoisyOne) {
  const auto in = patches(64, 6);
  for (const auto& type : samplers) {
    const auto alone = *Harness(type).run<NoisyPatches>(0, in),
               out = *Harness(type, "{context: given, context_noise: 0.3}").run<NoisyPatches>(0, in);
    EXPECT_EQ(alone.past, 0) << type;
    ASSERT_EQ(out.past, 6) << type;
    EXPECT_TRUE(out.x_t.narrow(1, 6, 6).equal(alone.x_t)) << type;
    EXPECT_TRUE(out.t.narrow(1, 6, 6).equal(alone.t)) << type;
    EXPECT_TRUE(out.v.narrow(1, 6, 6).equal(alone.v)) << type;
    EXPECT_TRUE(out.action.equal(torch::cat({in.action, in.action}, 1))) << type;
    const auto s = out.t.narrow(1, 0, 6), v = out.v.narrow(1, 0, 6);
    EXPECT_LT(kolmogorov_smirnov(s, uniform(0, 0.3)), 2.2) << type;
    const auto x0 = out.x_t.narrow(1, 0, 6) + s.unsqueeze(-1).unsqueeze(-1) * v;
    EXPECT_TRUE(torch::allclose(x0, in.x, 1e-5, 1e-5)) << type;
    const auto z = in.x - v;
    EXPECT_NEAR(z.std().item<float>(), 1, 0.05) << type;
    EXPECT_FALSE(torch::allclose(v, alone.v)) << "noise of its own, " << type;
  }
}

TEST(Noise, RefusesWhatItDoesNotKnow) {
  for (const auto& type : samplers)
    for (const auto* params : {"{per: frames}", "{context: clean}", "{context_noise: 1.5}", "{sdt: 1}"})
      EXPECT_THROW(Harness(type, params), graph::Error) << type << " " << params;
  EXPECT_THROW(Harness("logit_normal_noise", "{std: 0}"), graph::Error);
  EXPECT_THROW(Harness("uniform_noise", "{high: 1.1}"), graph::Error);
  EXPECT_THROW(Harness("mode_noise", "{scale: 1.8}"), graph::Error);
  EXPECT_THROW(Harness("beta_noise", "{alpha: 0}"), graph::Error);
}

TEST(LogitNormalNoise, DrawsByDefaultWhatItAlwaysDrew) {
  const auto in = patches(5, 7);
  const auto random = stages::generator(4, 9, "logit_normal_noise");
  const auto t = torch::sigmoid(torch::randn({5, 7}, random));
  const auto z = torch::randn(in.x.sizes(), random);
  const auto out = *Harness("logit_normal_noise", "{seed: 4}").run<NoisyPatches>(9, in);
  EXPECT_TRUE(out.t.equal(t));
  EXPECT_TRUE(out.v.equal(in.x - z));
}

// Uniform levels from 1 to 1 beside others that are never 1.
TEST(MixtureNoise, DrawsByWeightForEachFrameOrEachClip) {
  const std::string kinds = "weights: {uniform: 3, beta: 1}, low: 1, high: 1, alpha: 2, beta: 20";
  const auto frames = levels("mixture_noise", "{" + kinds + "}", 200, 100) == 1;
  EXPECT_NEAR(frames.to(at::kFloat).mean().item<float>(), 0.75, 0.015);
  EXPECT_FALSE(frames.equal(frames.slice(1, 0, 1).expand({200, 100})));
  const auto clips = levels("mixture_noise", "{" + kinds + ", per: clip}", 5000, 2) == 1;
  EXPECT_NEAR(clips.to(at::kFloat).mean().item<float>(), 0.75, 0.03);
  EXPECT_TRUE(clips.slice(1, 0, 1).equal(clips.slice(1, 1, 2)));
}

TEST(MixtureNoise, SaysWhatIsWrongWithItsWeights) {
  const auto said = [](const std::string& weights) {
    return tests::complaint([&] { Harness("mixture_noise", "{weights: " + weights + "}").start(); });
  };
  EXPECT_EQ(said("{mode: 0.5, beta: 2}"), "");
  EXPECT_EQ(said("{}"),
            "weights: expected at least one of beta, cosmap, logit_normal, mode, uniform, got none");
  EXPECT_EQ(said("{uniform: 1, normal: 1}"),
            "weights: unknown kind 'normal'; expected beta | cosmap | logit_normal | mode | uniform");
  for (const std::string weight : {"0", "-0.5"})
    EXPECT_EQ(
        said("{mode: 1, uniform: " + weight + "}"),
        "weights: " + weight + " of 'uniform' is out of range; expected above 0, or leave 'uniform' out");
  tests::expect_in(said("[uniform]"), "expected a map");
  tests::expect_in(said("{uniform: half}"), "expected a number");
}

}  // namespace
