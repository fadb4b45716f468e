// solvers_test: ways from noise to a frame, on fields with known answers and on a tiny network.
#include "stages/play/solvers.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "stages/model/mmdit.h"
#include "stages/model/schedule.h"
#include "stages/model/weights_file.h"
#include "stages/play/dreamer.h"
#include "stages/pong/episode.h"
#include "stages/random.h"
#include "tests/harness.h"
#include "tests/stages/run_stub.h"

namespace {

using stages::Noise;
using stages::Patches;
using stages::Solver;
using stages::Turn;
using stages::Velocity;
using tests::Harness;
using tests::RunStub;

using Levels = std::vector<double>;

struct Known {
  std::string name;
  Solver solve;
  double order;
  int a_step;        // evaluations
  std::size_t of_8;  // evaluations of eight steps
  double last;       // level of the last evaluation on 1, 0.5, 0
};

const std::vector<Known>& solvers() {
  static const std::vector<Known> all{{"euler", stages::euler, 1, 1, 8, 0.5},
                                      {"heun", stages::heun, 2, 2, 15, 0.5},
                                      {"midpoint", stages::midpoint, 2, 2, 16, 0.25},
                                      {"ab2", stages::ab2, 2, 1, 8, 0.5},
                                      {"dpmpp_2m", stages::dpmpp_2m, 2, 1, 8, 0.5}};
  return all;
}

Solver stochastic(double fresh) {
  return [fresh](const Velocity& v, const Noise& noise, const Levels& levels) {
    return stages::stochastic_euler(v, noise, levels, fresh);
  };
}

Levels even(int steps) { return model::noise_levels({.schedule = "linear"}, steps); }

// A long step and a short one in turns, so that a method that takes steps for equal loses its order.
Levels uneven(double high, double low, int steps) {
  Levels levels{high};
  for (int i = 1; i < steps; ++i)
    levels.push_back(levels.back() - (high - low) / (1.5 * steps) * (i % 2 == 1 ? 2 : 1));
  levels.push_back(low);
  return levels;
}

// One number to begin with.
Noise from(double z) {
  return [z] { return torch::full({1}, z, torch::kDouble); };
}

TEST(Solvers, AreOfTheirOrderOnUnevenSteps) {
  // v = a z + b t, so dz/dt = -a z - b t.
  constexpr double a = 1.5, b = 2, high = 0.9, low = 0.1, start = 0.7;
  const auto particular = [&](double t) { return b / (a * a) - b / a * t; };
  const auto truth = (start - particular(high)) * std::exp(a * (high - low)) + particular(low);
  const auto v = [&](const at::Tensor& z, double t) { return a * z + b * t; };
  for (const auto& each : solvers()) {
    const auto error = [&](int steps) {
      return std::abs(each.solve(v, from(start), uneven(high, low, steps)).item<double>() - truth);
    };
    EXPECT_NEAR(std::log2(error(32) / error(64)), each.order, 0.2) << each.name;
    EXPECT_NEAR(std::log2(error(64) / error(256)) / 2, each.order, 0.2) << each.name;
  }
}

TEST(Solvers, LandOnTheDataToWhichAllPathsLead) {
  const auto v = [](const at::Tensor& z, double t) { return (0.3 - z) / t; };
  auto all = solvers();
  all.push_back({.name = "stochastic_euler", .solve = stochastic(0.7)});
  for (const auto& each : all)
    for (const int steps : {1, 2, 5})
      EXPECT_NEAR(each.solve(v, from(-1.2), even(steps)).item<double>(), 0.3, 1e-12)
          << each.name << ' ' << steps;
}

TEST(Solvers, EvaluateAsOftenAsDocumented) {
  for (const auto& each : solvers()) {
    std::size_t count = 0;
    const auto v = [&](const at::Tensor& z, double) {
      ++count;
      return z;
    };
    each.solve(v, from(1), even(8));
    EXPECT_EQ(count, each.of_8) << each.name;
    EXPECT_EQ(stages::evaluated_levels(each.solve, even(8)).size(), each.of_8) << each.name;
    EXPECT_EQ(stages::evaluated_levels(each.solve, even(2)).back(), each.last) << each.name;
  }
  EXPECT_EQ(stages::evaluated_levels(stages::heun, even(2)), (Levels{1, 0.5, 0.5}));
  EXPECT_EQ(stages::evaluated_levels(stages::midpoint, even(2)), (Levels{1, 0.75, 0.5, 0.25}));
  EXPECT_EQ(stages::evaluated_levels(stochastic(1), even(3)).size(), 3u);
}

TEST(Solvers, DpmOfThreeStepsIsEulerAndOfFourIsNot) {
  const auto v = [](const at::Tensor& z, double t) { return 1.5 * z + 2 * t; };
  const auto apart = [&](int steps) {
    const auto levels = even(steps);
    return std::abs(
        (stages::dpmpp_2m(v, from(0.7), levels) - stages::euler(v, from(0.7), levels)).item<double>());
  };
  for (const int steps : {1, 2, 3}) EXPECT_LT(apart(steps), 1e-12) << steps;
  EXPECT_GT(apart(4), 1e-3);
}

TEST(StochasticEuler, WithoutFreshNoiseIsEuler) {
  const auto v = [](const at::Tensor& z, double t) { return 1.5 * z + 2 * t; };
  EXPECT_NEAR(stages::stochastic_euler(v, from(0.7), even(8), 0).item<double>(),
              stages::euler(v, from(0.7), even(8)).item<double>(), 1e-12);
}

TEST(StochasticEuler, KeepsTheNoiseAtTheGridsLevels) {
  for (const double fresh : {0.3, 1.0}) {
    const auto random = stages::generator(1, 0, "test");
    // Where all data are 0, z is noise alone, of deviation t.
    const auto v = [&](const at::Tensor& z, double t) {
      EXPECT_NEAR(z.std().item<double>() / t, 1, 0.03) << fresh << ' ' << t;
      return -z / t;
    };
    stages::stochastic_euler(
        v, [&] { return torch::randn({20000}, random, torch::kDouble); }, even(6), fresh);
  }
}

// A network with random weights. It predicts velocities and is deaf to the level (T 1), which makes its field smooth.
class Denoisers : public testing::Test {
 protected:
  Denoisers() {
    config.d_model = 32;
    config.n_heads = 2;
    config.n_blocks = 2;
    config.patch_size = 6;
    config.n_window = 4;
    config.stem = "linear";
    config.T = 1;
    model::save(weights, config, model::Mmdit(config).initialise(3));
  }

  Harness make(const std::string& solver, const std::string& params, int seed = 5) const {
    Harness denoiser(solver + "_denoiser", "{checkpoint: " + weights + ", schedule: linear" + params + "}",
                     "{seed: " + std::to_string(seed) + ", device: cpu}");
    denoiser.start();
    return denoiser;
  }
  at::Tensor frame(const std::string& solver, int steps) const {
    auto denoiser = make(solver, ", commit: last_step, steps: " + std::to_string(steps));
    return dream(denoiser, 0);
  }
  static at::Tensor dream(Harness& denoiser, std::uint64_t n, std::vector<stages::Start> starts = {}) {
    return denoiser.run<Patches>(n, Turn{torch::ones({1}, torch::kLong), std::move(starts), {}, n})->x;
  }

  RunStub run;
  const std::string weights = (run.folder() / "w.safetensors").string();
  model::Config config;
};

TEST_F(Denoisers, UseTheirSolvers) {
  stages::DreamParams params;
  params.checkpoint = weights;
  params.steps = 4;
  params.schedule = "linear";
  params.commit = "last_step";
  params.seed = 5;
  params.device = "cpu";
  const graph::Context context{.stage = "denoise"};
  auto all = solvers();
  all.push_back({.name = "stochastic_euler", .solve = stochastic(0.5)});
  for (const auto& each : all) {
    stages::Dreamer dreamer;
    dreamer.start(params, context);
    const Turn turn{.action = torch::ones({1}, torch::kLong)};
    EXPECT_TRUE(dreamer.dream(params, turn, context, each.solve).x.equal(frame(each.name, 4))) << each.name;
  }
}

TEST_F(Denoisers, ConvergeToTheSameFrame) {
  const auto truth = frame("midpoint", 128);
  double of_euler = 0;
  for (const auto& each : solvers()) {
    const auto error = [&](int evaluations) {
      return (frame(each.name, evaluations / each.a_step) - truth).abs().max().item<double>();
    };
    const auto coarse = error(8), fine = error(64);
    EXPECT_LT(fine, 0.05) << each.name;
    EXPECT_LT(fine, coarse / 3) << each.name;
    if (each.name == "euler")
      of_euler = fine;
    else
      EXPECT_LT(fine, of_euler / 4) << each.name;
  }
}

// The model that ships, upon frames of four games; the mean over pixels and games, in shades of 255.
TEST(TrainedModel, IsDreamedAlikeByAllSolversAt64Evaluations) {
  std::vector<stages::Start> starts;
  std::vector<stages::Player> players;
  for (std::int64_t k = 0; k < 4; ++k) {
    auto episode = pong::make_episode(5, static_cast<std::uint64_t>(k), {.length = 16});
    starts.push_back(
        {.session = k,
         .frames =
             torch::tensor(at::ArrayRef<std::uint8_t>(episode.frames), torch::kByte).view({16, 24, 24, 3}),
         .action = torch::ones({16}, torch::kLong)});
    players.push_back({k});
  }
  const auto frames = [&](const std::string& solver, int steps) {
    Harness denoiser(solver + "_denoiser",
                     "{checkpoint: " PROJECT_DIR
                     "/models/pong-small.safetensors, schedule: linear, commit: last_step, steps: " +
                         std::to_string(steps) + "}",
                     "{seed: 5, device: cpu}");
    denoiser.start();
    return denoiser.run<Patches>(0, Turn{torch::ones({4}, torch::kLong), starts, players, 0})->x;
  };
  const auto shades = [](const at::Tensor& a, const at::Tensor& b) {
    return (a - b).abs().mean().item<double>() * 127.5;
  };
  const auto truth = frames("midpoint", 64);
  EXPECT_GT(shades(truth, frames("euler", 1)), 0.01) << "there is something to integrate";
  for (const auto& each : solvers())
    EXPECT_LT(shades(truth, frames(each.name, 64 / each.a_step)), 1) << each.name;
}

TEST_F(Denoisers, LastStepRemembersTheLastEvaluation) {
  stages::DreamParams params;
  params.checkpoint = weights;
  params.schedule = "linear";
  params.steps = 2;
  params.commit = "last_step";
  params.device = "cpu";
  const graph::Context context{.stage = "denoise"};
  const auto dream_with = [&](stages::Dreamer& dreamer, std::uint64_t n, const Solver& solve) {
    return dreamer.dream(params, Turn{.action = torch::ones({1}, torch::kLong), .number = n}, context, solve)
        .x;
  };
  stages::Dreamer game, same, other;
  for (auto* each : {&game, &same, &other}) each->start(params, context);

  at::Tensor last;
  const auto watched = [&](const Velocity& v, const Noise& noise, const Levels& levels) {
    const auto watch = [&](const at::Tensor& z, double t) {
      last = z;
      return v(z, t);
    };
    return stages::midpoint(watch, noise, levels);
  };
  dream_with(game, 0, watched);
  // A game that saw nothing but this input remembers the same.
  dream_with(same, 0, [&](const Velocity& v, const Noise&, const Levels&) { return v(last, 0.25); });
  dream_with(other, 0, stages::euler);
  const auto next = dream_with(game, 1, stages::euler);
  EXPECT_TRUE(next.equal(dream_with(same, 1, stages::euler)));
  EXPECT_FALSE(next.equal(dream_with(other, 1, stages::euler)));
}

TEST_F(Denoisers, LastStepRebuildsAtTheLevelOfTheLastEvaluation) {
  config.T = 1000;
  model::save(weights, config, model::Mmdit(config).initialise(3));
  const auto random = stages::generator(2, 0, "test");
  const stages::Start start{.frames = torch::randint(256, {3, 24, 24, 3}, random, torch::kByte),
                            .action = torch::ones({3}, torch::kLong)};
  const auto begun = [&](const Known& solver, const std::string& commit) {
    auto denoiser = make(solver.name, ", steps: 2, quantize: false, commit: " + commit);
    return dream(denoiser, 0, {start});
  };
  const auto renoised = [](double level) { return "renoised, context_noise: " + std::to_string(level); };
  for (const auto& each : solvers()) {
    const auto x = begun(each, "last_step");
    EXPECT_TRUE(x.equal(begun(each, renoised(each.last)))) << each.name;
    EXPECT_FALSE(x.equal(begun(each, renoised(each.last + 0.125)))) << each.name;
  }
}

TEST_F(Denoisers, FreshNoiseIsEachPlayersOwn) {
  const auto turn = [](const std::vector<std::int64_t>& sessions, std::uint64_t n) {
    const auto S = static_cast<std::int64_t>(sessions.size());
    Turn made{.action = torch::ones({S}, torch::kLong), .number = n};
    for (const auto session : sessions) made.players.push_back({session});
    return made;
  };
  const std::string params = ", commit: last_step, steps: 3, noise: 0.8";
  auto pair = make("stochastic_euler", params), alone = make("stochastic_euler", params),
       other = make("stochastic_euler", params, 6);
  for (std::uint64_t n = 0; n < 3; ++n) {
    const auto x = pair.run<Patches>(n, turn({3, 8}, n))->x, y = alone.run<Patches>(n, turn({8}, n))->x;
    EXPECT_TRUE(x.narrow(0, 1, 1).allclose(y, 1e-4, 1e-4)) << n;
    EXPECT_FALSE(x.narrow(0, 0, 1).allclose(y, 1e-2, 1e-2)) << n;
    EXPECT_FALSE(other.run<Patches>(n, turn({8}, n))->x.allclose(y, 1e-2, 1e-2)) << n;
  }
}

}  // namespace
