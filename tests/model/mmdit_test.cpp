// mmdit_test: the network's cache against recomputation, its gradients, what it refuses.
#include "stages/model/mmdit.h"

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <deque>
#include <limits>
#include <thread>

#include "stages/model/schedule.h"
#include "tests/model/golden.h"

namespace {

using golden::largest_difference;
using golden::refusal;
using golden::relative_difference;
using model::Config;
using model::KvCache;
using model::Mmdit;
using model::Parameters;

Config tiny() {
  Config config;
  config.n_window = 4;
  config.patch_size = 4;
  config.height = 8;
  config.width = 12;
  config.n_heads = 2;
  config.d_model = 48;  // heads of 24 numbers, which fused operations can do
  config.n_blocks = 2;
  config.stem = "linear";
  return config;
}

// Clips of noise at random levels under random actions.
struct Batch {
  at::Tensor x, t, action;

  Batch(const Config& config, std::int64_t clips, std::int64_t frames, std::uint64_t seed = 1) {
    const at::Generator generator = at::detail::createCPUGenerator(seed);
    x = at::empty({clips, frames, config.patches(), config.patch_dim()}).normal_(0, 1, generator);
    t = at::empty({clips, frames}).uniform_(0, 1, generator);
    action = at::empty({clips, frames}, at::kLong).random_(0, config.n_actions, generator);
  }
  Batch(at::Tensor frames, at::Tensor levels, at::Tensor actions) : x(frames), t(levels), action(actions) {}

  Batch frames(std::int64_t first, std::int64_t count) const {
    return {x.narrow(1, first, count), t.narrow(1, first, count), action.narrow(1, first, count)};
  }
};

std::vector<KvCache*> pointers(std::deque<KvCache>& caches) {
  std::vector<KvCache*> result;
  for (KvCache& cache : caches) result.push_back(&cache);
  return result;
}

std::deque<KvCache> make_caches(const Config& config, std::int64_t count) {
  std::deque<KvCache> caches;
  for (std::int64_t i = 0; i < count; ++i) caches.emplace_back(config);
  return caches;
}

at::Tensor forward(const Mmdit& network, const Parameters& weights, const Batch& batch) {
  return network.forward(weights, batch.x, batch.t, batch.action);
}

std::vector<at::Tensor> gradients(const Mmdit& network, const Parameters& weights, const Batch& batch,
                                  const at::Tensor& v, double share = 1) {
  const Parameters leaves = weights.leaves();
  const at::Tensor loss = network.loss(forward(network, leaves, batch), batch.x, v, batch.t) * share;
  return torch::autograd::grad({loss}, leaves.tensors);
}

// rope_type, stem, predicts, registers, past actions
using Kind = std::tuple<const char*, const char*, const char*, int, int>;

class EveryKind : public testing::TestWithParam<Kind> {
 protected:
  Config config() const {
    Config config = tiny();
    config.rope_type = std::get<0>(GetParam());
    config.stem = std::get<1>(GetParam());
    config.predicts = std::get<2>(GetParam());
    config.n_registers = std::get<3>(GetParam());
    config.n_past_actions = std::get<4>(GetParam());
    return config;
  }
};

TEST_P(EveryKind, CacheEqualsRecomputationInsideTheWindow) {
  const Mmdit network(config());
  const Parameters weights = network.initialise(3);
  const Batch batch(config(), 2, config().n_window);
  const at::Tensor whole = forward(network, weights, batch);
  std::deque<KvCache> caches = make_caches(config(), 2);
  for (std::int64_t frame = 0; frame < config().n_window; ++frame) {
    const at::Tensor x = batch.x.select(1, frame), t = batch.t.select(1, frame),
                     action = batch.action.select(1, frame);
    // What is not committed leaves no trace.
    network.forward_cached(*network.pack(weights), x * 2, t, 3 - action, pointers(caches), false);
    const at::Tensor one =
        network.forward_cached(*network.pack(weights), x, t, action, pointers(caches), true);
    // A convolution may round otherwise for another number of frames: 1.6e-5 was seen, of numbers up to 2.2.
    EXPECT_LT(largest_difference(one, whole.select(1, frame)), 2e-5) << "frame " << frame;
  }
}

// What teacher forcing trains is what play asks for: a frame behind clean ones that the cache remembers.
TEST_P(EveryKind, AFrameBesideItsPastIsAFrameBehindACache) {
  const Mmdit network(config());
  const Parameters weights = network.initialise(3);
  const auto T = config().n_window;
  const Batch past(config(), 2, T, 1), present(config(), 2, T, 2);
  const auto both = [](const at::Tensor& a, const at::Tensor& b) { return at::cat({a, b}, 1); };
  const Batch clip{both(past.x, present.x), both(past.t, present.t), both(past.action, present.action)};
  const auto predict = [&](std::int64_t frames) {
    return network.forward(weights, clip.x, clip.t, clip.action, frames);
  };
  if (!network.takes_past()) {
    EXPECT_THROW(predict(T), std::invalid_argument);
    return;
  }
  EXPECT_THROW(predict(T - 1), std::invalid_argument);
  const at::Tensor whole = predict(T);
  EXPECT_EQ(whole.sizes(), present.x.sizes());
  std::deque<KvCache> caches = make_caches(config(), 2);
  for (std::int64_t frame = 0; frame < T; ++frame) {
    const auto at_frame = [&](const Batch& batch, bool commit) {
      return network.forward_cached(*network.pack(weights), batch.x.select(1, frame),
                                    batch.t.select(1, frame), batch.action.select(1, frame), pointers(caches),
                                    commit);
    };
    EXPECT_LT(largest_difference(at_frame(present, false), whole.select(1, frame)), 1e-5)
        << "frame " << frame;
    at_frame(past, true);
  }
}

// Without blocks that hand on what evicted frames left behind, the cache equals recomputation for ever.
TEST_P(EveryKind, OfOneBlockCacheEqualsTheSlidingWindowForEver) {
  Config one_block = config();
  one_block.n_blocks = 1;
  const Mmdit network(one_block);
  const Parameters weights = network.initialise(3);
  const Batch batch(one_block, 1, 11);
  const at::Tensor whole = forward(network, weights, batch);
  std::deque<KvCache> caches = make_caches(one_block, 1);
  for (std::int64_t frame = 0; frame < 11; ++frame) {
    const at::Tensor one =
        network.forward_cached(*network.pack(weights), batch.x.select(1, frame), batch.t.select(1, frame),
                               batch.action.select(1, frame), pointers(caches), true);
    EXPECT_LT(largest_difference(one, whole.select(1, frame)), 1e-5) << "frame " << frame;
  }
}

TEST_P(EveryKind, LongClipsSeeTheWindowAndNoMore) {
  Config one_block = config();
  one_block.n_blocks = 1;
  const Mmdit network(one_block);
  const Parameters weights = network.initialise(3);
  Batch batch(one_block, 1, 7);
  batch.action.narrow(1, 0, 3).zero_();  // frames of the window are told those, too: none, as before a clip
  const at::Tensor whole = forward(network, weights, batch);
  const at::Tensor windowed = forward(network, weights, batch.frames(3, 4));
  EXPECT_LT(largest_difference(whole.select(1, 6), windowed.select(1, 3)), 1e-5);
}

TEST_P(EveryKind, PrefillEqualsCommittingOneByOne) {
  const Mmdit network(config());
  const Parameters weights = network.initialise(3);
  const Batch batch(config(), 2, config().n_window);
  std::deque<KvCache> one_by_one = make_caches(config(), 2), at_once = make_caches(config(), 2);
  const std::int64_t last = config().n_window - 1;
  for (std::int64_t frame = 0; frame < last; ++frame) {
    network.forward_cached(*network.pack(weights), batch.x.select(1, frame), batch.t.select(1, frame),
                           batch.action.select(1, frame), pointers(one_by_one), true);
  }
  const Batch past = batch.frames(0, last);
  network.prefill(*network.pack(weights), past.x, past.t, past.action, pointers(at_once));
  EXPECT_EQ(at_once[0].position(), last);
  // Past the first eviction, so that the order in the ring is put to the test too.
  for (int repeat = 0; repeat < 3; ++repeat) {
    const auto next = [&](std::deque<KvCache>& caches) {
      return network.forward_cached(*network.pack(weights), batch.x.select(1, repeat),
                                    batch.t.select(1, repeat), batch.action.select(1, repeat),
                                    pointers(caches), true);
    };
    EXPECT_LT(largest_difference(next(at_once), next(one_by_one)), 1e-5);
  }
}

TEST_P(EveryKind, NothingSeesTheFuture) {
  const Mmdit network(config());
  const Parameters weights = network.initialise(3);
  const Batch batch(config(), 1, 6);
  Batch changed = batch;
  changed.x = batch.x.clone();
  changed.x.select(1, 4).add_(1);
  changed.action = batch.action.clone();
  changed.action.select(1, 4).neg_().add_(3);
  const at::Tensor before = forward(network, weights, batch), after = forward(network, weights, changed);
  EXPECT_EQ(largest_difference(before.narrow(1, 0, 4), after.narrow(1, 0, 4)), 0);
  EXPECT_GT(largest_difference(before.narrow(1, 4, 2), after.narrow(1, 4, 2)), 1e-3);
}

TEST_P(EveryKind, MicroBatchesSumToTheBatch) {
  const Mmdit network(config());
  const Parameters weights = network.initialise(3);
  const Batch batch(config(), 4, 5);
  const at::Tensor v = at::randn_like(batch.x);
  const std::vector<at::Tensor> whole = gradients(network, weights, batch, v);
  std::vector<at::Tensor> sum;
  for (std::int64_t clip = 0; clip < 4; ++clip) {
    const Batch part(batch.x.narrow(0, clip, 1), batch.t.narrow(0, clip, 1), batch.action.narrow(0, clip, 1));
    const std::vector<at::Tensor> found = gradients(network, weights, part, v.narrow(0, clip, 1), 0.25);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (clip == 0)
        sum.push_back(found[i]);
      else
        sum[i] = sum[i] + found[i];
    }
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (whole[i].numel() == 0) continue;
    EXPECT_LT(largest_difference(sum[i], whole[i]), 1e-5 * (1 + whole[i].abs().max().item<double>()))
        << weights.names[i];
  }
}

INSTANTIATE_TEST_SUITE_P(
    Mmdit, EveryKind,
    testing::Values(Kind{"rope", "linear", "data", 1, 0}, Kind{"rope", "conv", "velocity", 1, 0},
                    Kind{"rope", "linear", "data", 0, 0}, Kind{"vid", "linear", "data", 1, 0},
                    Kind{"vid", "conv", "velocity", 2, 0}, Kind{"learn", "linear", "data", 1, 0},
                    Kind{"learn", "conv", "velocity", 0, 0}, Kind{"learn", "linear", "data", 3, 0},
                    Kind{"vid", "linear", "data", 1, 3}, Kind{"learn", "conv", "velocity", 1, 2}),
    [](const testing::TestParamInfo<Kind>& kind) {
      return std::string(std::get<0>(kind.param)) + "_" + std::get<1>(kind.param) + "_" +
             std::get<2>(kind.param) + "_" + std::to_string(std::get<3>(kind.param)) + "_" +
             std::to_string(std::get<4>(kind.param));
    });

TEST(Mmdit, PlayersWithRingsOfDifferentLengthDoNotDisturbEachOther) {
  const Mmdit network(tiny());
  const Parameters weights = network.initialise(5);
  const Batch batch(tiny(), 3, 6);
  const auto play = [&](std::int64_t player, std::int64_t frame, KvCache& cache) {
    KvCache* one[] = {&cache};
    return network.forward_cached(*network.pack(weights), batch.x[player].narrow(0, frame, 1),
                                  batch.t[player].narrow(0, frame, 1),
                                  batch.action[player].narrow(0, frame, 1), one, true);
  };
  std::deque<KvCache> alone = make_caches(tiny(), 3), together = make_caches(tiny(), 3);
  for (std::int64_t player = 0; player < 3; ++player) {
    for (std::int64_t frame = 0; frame < 2 * player; ++frame) {
      play(player, frame, alone[player]);
      play(player, frame, together[player]);
    }
  }
  const at::Tensor joint =
      network.forward_cached(*network.pack(weights), batch.x.select(1, 5), batch.t.select(1, 5),
                             batch.action.select(1, 5), pointers(together), true);
  for (std::int64_t player = 0; player < 3; ++player) {
    EXPECT_LT(largest_difference(joint.narrow(0, player, 1), play(player, 5, alone[player])), 1e-5);
  }
}

TEST(Mmdit, ASharedCacheServesSeveralRowsUntilSomebodyCommits) {
  const Mmdit network(tiny());
  const Parameters weights = network.initialise(5);
  const Batch batch(tiny(), 1, 3);
  KvCache cache(tiny());
  KvCache* one[] = {&cache};
  KvCache* twice[] = {&cache, &cache};
  network.prefill(*network.pack(weights), batch.x.narrow(1, 0, 2), batch.t.narrow(1, 0, 2),
                  batch.action.narrow(1, 0, 2), one);
  const at::Tensor x = batch.x.select(1, 2), t = batch.t.select(1, 2);
  const at::Tensor acts = at::full({1}, 2, at::kLong), none = at::zeros({1}, at::kLong);
  const at::Tensor both = network.forward_cached(*network.pack(weights), at::cat({x, x}), at::cat({t, t}),
                                                 at::cat({acts, none}), twice, false);
  EXPECT_LT(largest_difference(both.narrow(0, 0, 1),
                               network.forward_cached(*network.pack(weights), x, t, acts, one, false)),
            1e-5);
  EXPECT_LT(largest_difference(both.narrow(0, 1, 1),
                               network.forward_cached(*network.pack(weights), x, t, none, one, false)),
            1e-5);
  EXPECT_EQ(cache.position(), 2);
  EXPECT_THROW(network.forward_cached(*network.pack(weights), at::cat({x, x}), at::cat({t, t}),
                                      at::cat({acts, none}), twice, true),
               std::invalid_argument);
}

TEST(Mmdit, ForwardsFromSeveralThreadsAgreeWithOneAfterTheOther) {
  const Mmdit network(tiny());
  const Parameters weights = network.initialise(5);
  std::vector<Batch> batches;
  for (int i = 0; i < 4; ++i) batches.emplace_back(tiny(), 2, 3 + i, static_cast<std::uint64_t>(i));
  std::vector<std::vector<at::Tensor>> found(4);
  const Mmdit fresh(tiny());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] { found[i] = gradients(fresh, weights, batches[i], batches[i].x); });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < 4; ++i) {
    const std::vector<at::Tensor> expected = gradients(network, weights, batches[i], batches[i].x);
    for (std::size_t k = 0; k < expected.size(); ++k)
      EXPECT_TRUE(at::equal(found[i][k], expected[k])) << weights.names[k];
  }
}

TEST(Mmdit, PlayingForYearsKeepsAttentionTheSame) {
  Config config = tiny();
  config.n_blocks = 1;
  const Mmdit network(config);
  const Parameters weights = network.initialise(5);
  const Batch batch(config, 1, 4);
  const auto last_of_four = [&](KvCache& cache) {
    KvCache* one[] = {&cache};
    at::Tensor prediction;
    for (std::int64_t frame = 0; frame < 4; ++frame) {
      prediction = network.forward_cached(*network.pack(weights), batch.x.select(1, frame),
                                          batch.t.select(1, frame), batch.action.select(1, frame), one, true);
    }
    return prediction;
  };
  KvCache young(config), old(config);
  old.commit(1'000'000'000);  // a year at 30 frames a second
  EXPECT_LT(largest_difference(last_of_four(young), last_of_four(old)), 1e-4);
}

TEST(Mmdit, BidirectionalFramesSeeTheWholeClip) {
  Config config = tiny();
  config.bidirectional = true;
  const Mmdit network(config);
  const Parameters weights = network.initialise(5);
  const Batch batch(config, 1, 4);
  Batch changed = batch;
  changed.x = batch.x.clone();
  changed.x.select(1, 3).add_(1);
  EXPECT_GT(largest_difference(forward(network, weights, batch).select(1, 0),
                               forward(network, weights, changed).select(1, 0)),
            1e-4);
  EXPECT_NE(refusal<std::invalid_argument>([&] {
              forward(network, weights, Batch(config, 1, 5));
            }).find("at most n_window (4)"),
            std::string::npos);
}

// With one block the newest frame depends on the older ones' keys alone, which no attention has touched.
TEST(Mmdit, BidirectionalCacheEqualsRecomputationForTheNewestFrame) {
  for (const char* rope_type : {"rope", "vid", "learn"}) {
    Config config = tiny();
    config.bidirectional = true;
    config.n_blocks = 1;
    config.rope_type = rope_type;
    const Mmdit network(config);
    const Parameters weights = network.initialise(5);
    const Batch batch(config, 1, 4);
    KvCache cache(config);
    KvCache* one[] = {&cache};
    const Batch past = batch.frames(0, 3);
    network.prefill(*network.pack(weights), past.x, past.t, past.action, one);
    const at::Tensor newest =
        network.forward_cached(*network.pack(weights), batch.x.select(1, 3), batch.t.select(1, 3),
                               batch.action.select(1, 3), one, false);
    EXPECT_LT(largest_difference(newest, forward(network, weights, batch).select(1, 3)), 1e-5) << rope_type;
  }
}

TEST(Mmdit, SameSeedSameWeights) {
  const Mmdit network(tiny());
  const Parameters a = network.initialise(7), b = Mmdit(tiny()).initialise(7), c = network.initialise(8);
  bool all_equal = true, any_differs = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    all_equal = all_equal && at::equal(a.tensors[i], b.tensors[i]);
    any_differs = any_differs || !at::equal(a.tensors[i], c.tensors[i]);
  }
  EXPECT_TRUE(all_equal);
  EXPECT_TRUE(any_differs);
}

TEST(Mmdit, InitialisingLeavesTheGlobalGeneratorAlone) {
  torch::manual_seed(1);
  const at::Tensor expected = at::rand({4});
  torch::manual_seed(1);
  Mmdit(tiny()).initialise(7);
  EXPECT_TRUE(at::equal(at::rand({4}), expected));
}

// PyTorch's default for a layer is uniform within 1/√(numbers that go in), for its bias too.
TEST(Mmdit, ReferenceInitialisationHasPyTorchsSpread) {
  const auto folder = std::filesystem::path(GOLDEN_DIR) / "rope";
  const Config config = Config::from_json(golden::text_of(folder / "config.json"));
  const Parameters fresh = Mmdit(config).initialise(1);
  EXPECT_EQ(fresh.names, model::load_python(folder / "model.pt", config).names);
  for (const auto& [name, inputs] :
       {std::pair("blocks.0.selfattn.QKV.weight", 64), std::pair("blocks.1.geglu.down.weight", 256),
        std::pair("patch.init_conv_seq.3.weight", 32 * 25), std::pair("modulation.1.bias", 64)}) {
    const double bound = 1 / std::sqrt(static_cast<double>(inputs));
    EXPECT_LE(fresh.at(name).abs().max().item<double>(), bound) << name;
    EXPECT_NEAR(fresh.at(name).std().item<double>(), bound / std::sqrt(3.0), 0.1 * bound) << name;
  }
  EXPECT_NEAR(fresh.at("action_emb.weight").std().item<double>(), 1, 0.15);
  EXPECT_EQ(fresh.at("patch.x_embedder.bias").abs().max().item<float>(), 0);
  EXPECT_EQ(fresh.at("patch.init_conv_seq.2.weight").min().item<float>(), 1);
}

TEST(Mmdit, ZeroGatesPredictZeroAndStillLearn) {
  Config config = tiny();
  config.init = "zero_gates";
  const Mmdit network(config);
  const Parameters weights = network.initialise(5);
  const Batch batch(config, 1, 3);
  EXPECT_EQ(forward(network, weights, batch).abs().max().item<float>(), 0);
  const std::vector<at::Tensor> found = gradients(network, weights, batch, batch.x);
  EXPECT_GT(found[found.size() - 6].abs().max().item<float>() + found.back().abs().max().item<float>(), 0);
}

TEST(Mmdit, DataPredictionTurnsIntoVelocityWithAFloorUnderT) {
  Config config = tiny();
  config.predicts = "data";
  const Mmdit network(config);
  const at::Tensor x0 = at::rand({2, 3, config.patches(), config.patch_dim()}), z = at::randn_like(x0);
  const at::Tensor t = at::tensor({0.5f, 0.1f, 0.02f}).expand({2, 3}), levels = t.unsqueeze(-1).unsqueeze(-1);
  const at::Tensor v = x0 - z, x_t = x0 - levels * v;
  EXPECT_LT(largest_difference(network.target(x_t, v, t), x0), 1e-6);
  const at::Tensor found = network.velocity(x0, x_t, t);
  EXPECT_LT(largest_difference(found.narrow(1, 0, 2), v.narrow(1, 0, 2)), 1e-4);
  EXPECT_LT(largest_difference(found.select(1, 2), v.select(1, 2) * (0.02 / 0.05)), 1e-4);
  EXPECT_LT(network.loss(x0, x_t, v, t).item<double>(), 1e-12);
}

TEST(Mmdit, HuberLossSquaresSmallErrorsAndFollowsTheMajorityInLargeOnes) {
  const Mmdit network(tiny());  // predicts velocity: the target is v
  const at::Tensor v = at::randn({2, 3, 4, 5}), t = at::rand({2, 3});
  const auto loss = [&](const at::Tensor& prediction, double huber) {
    return network.loss(prediction, v, v, t, huber).item<double>();
  };
  EXPECT_NEAR(loss(v + 1e-3, 0.1) / loss(v + 1e-3, 0), 1, 1e-4);
  EXPECT_NEAR(loss(v + 10, 0.1), 2 * 0.1 * 10, 0.03);
  // Of three frames two are one picture and one another: the best single answer is their mean, or the former.
  const at::Tensor one = at::randn({4, 5}), other = at::randn({4, 5});
  const auto best = [&](double huber) {
    double share = 0, least = std::numeric_limits<double>::infinity();
    for (int i = 0; i <= 100; ++i) {
      const at::Tensor answer = (one + i / 100.0 * (other - one)).expand({1, 3, 4, 5});
      const double found =
          network.loss(answer, answer, at::stack({one, one, other}).unsqueeze(0), at::rand({1, 3}), huber)
              .item<double>();
      if (found < least) {
        least = found;
        share = i / 100.0;
      }
    }
    return share;
  };
  EXPECT_NEAR(best(0), 1 / 3.0, 0.01);
  EXPECT_LT(best(0.01), 0.02);
}

TEST(Mmdit, PredictionKeepsTheTypeOfXWhateverTheWeights) {
  const Mmdit network(tiny());
  const Batch batch(tiny(), 1, 3);
  const Parameters weights = network.initialise(5), half = weights.to(at::kCPU, at::kBFloat16);
  const at::Tensor coarse = forward(network, half, batch);
  EXPECT_EQ(coarse.scalar_type(), at::kFloat);
  EXPECT_LT(relative_difference(coarse, forward(network, weights, batch)), 0.05);
}

TEST(Mmdit, WrongShapesAreRefusedInOneLine) {
  const Mmdit network(tiny());
  const Parameters weights = network.initialise(5);
  const Batch batch(tiny(), 2, 3);
  const auto says = [&](const char* expected, auto f) {
    const std::string text = refusal<std::invalid_argument>(f);
    EXPECT_NE(text.find(expected), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  };
  says("t is [2, 2], expected [2, 3]",
       [&] { network.forward(weights, batch.x, batch.t.narrow(1, 0, 2), batch.action); });
  says("x is [2, 3, 5, 48]",
       [&] { network.forward(weights, batch.x.narrow(2, 0, 5), batch.t, batch.action); });
  says("action is not int64", [&] { network.forward(weights, batch.x, batch.t, batch.action.to(at::kInt)); });
  says("not this network's weights", [&] { network.forward({}, batch.x, batch.t, batch.action); });
  says("expected one a row", [&] {
    network.forward_cached(*network.pack(weights), batch.x.select(1, 0), batch.t.select(1, 0),
                           batch.action.select(1, 0), {}, false);
  });
  Config other = tiny();
  other.n_window = 5;
  KvCache foreign(other);
  KvCache* one[] = {&foreign};
  says("another network's", [&] {
    network.forward_cached(*network.pack(weights), batch.x[0].narrow(0, 0, 1), batch.t[0].narrow(0, 0, 1),
                           batch.action[0].narrow(0, 0, 1), one, false);
  });
}

}  // namespace
