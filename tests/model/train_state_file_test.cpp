// train_state_file_test: what training continues from comes back to the last bit, and nothing else does.
#include "stages/model/train_state_file.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "stages/model/adamw.h"
#include "stages/model/mmdit.h"
#include "stages/model/muon.h"
#include "stages/model/safetensors.h"
#include "tests/folder.h"
#include "tests/model/golden.h"

namespace {

using golden::refusal;
using tests::Folder;

model::Config small() {
  model::Config config;
  config.stem = "linear";
  config.patch_size = 6;
  config.d_model = 16;
  config.n_heads = 2;
  config.n_blocks = 1;
  config.n_window = 3;
  return config;
}

std::shared_ptr<const model::TrainState> trained(double ema) {
  model::Muon muon({.ema = ema});
  auto state = muon.start(model::Mmdit(small()).initialise(1));
  for (int step = 0; step < 3; ++step) {
    std::vector<at::Tensor> gradients;
    for (const auto& tensor : state->weights.tensors) gradients.push_back(torch::randn_like(tensor));
    state = muon.step(state, gradients, {0.02, 0.001}).state;
  }
  return state;
}

bool same(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const at::Tensor& x, const at::Tensor& y) {
    return x.defined() == y.defined() && (!x.defined() || x.equal(y));
  });
}

TEST(TrainStateFile, RoundTripIsBitExact) {
  const Folder folder;
  for (const double ema : {0.0, 0.9}) {
    const auto state = trained(ema);
    model::save_train_state(folder / "s", small(), *state, {{"seconds", "12.5"}});
    const auto file = model::load_train_state(folder / "s");
    EXPECT_EQ(file.config, small());
    EXPECT_EQ(file.facts, (model::Facts{{"seconds", "12.5"}}));
    EXPECT_EQ(file.state->optimizer, "muon");
    EXPECT_EQ(file.state->step, 3);
    EXPECT_EQ(file.state->weights.names, state->weights.names);
    EXPECT_TRUE(same(file.state->weights.tensors, state->weights.tensors));
    EXPECT_TRUE(same(file.state->ema.tensors, state->ema.tensors));
    EXPECT_TRUE(same(file.state->first, state->first));
    EXPECT_TRUE(same(file.state->second, state->second));
  }
}

TEST(TrainStateFile, RefusesWeightsAloneAndMissingMoments) {
  const Folder folder;
  model::save(folder / "w", small(), model::Mmdit(small()).initialise(1), {{"step", "3"}});
  EXPECT_NE(refusal<std::runtime_error>([&] { model::load_train_state(folder / "w"); }).find("missing"),
            std::string::npos);
  auto state = *trained(0);
  state.second.back() = at::Tensor();
  model::save_train_state(folder / "s", small(), state);
  EXPECT_NE(refusal<std::runtime_error>([&] { model::load_train_state(folder / "s"); }).find("no moments"),
            std::string::npos);
}

TEST(TrainStateFile, OfAdamWHasBothMomentsOfEveryParameter) {
  const Folder folder;
  auto state = *model::AdamW({}).start(model::Mmdit(small()).initialise(1));
  model::save_train_state(folder / "s", small(), state);
  const auto file = model::load_train_state(folder / "s");
  EXPECT_EQ(file.state->optimizer, "adamw");
  EXPECT_TRUE(same(file.state->second, state.second));
  const auto muons = *trained(0);
  state.second = muons.second;
  model::save_train_state(folder / "t", small(), state);
  EXPECT_NE(refusal<std::runtime_error>([&] { model::load_train_state(folder / "t"); }).find("no moments"),
            std::string::npos);
}

TEST(TrainStateFile, MetadataIsReadWithoutTheTensors) {
  const Folder folder;
  model::save(folder / "w", small(), model::Mmdit(small()).initialise(1), {{"step", "3"}});
  EXPECT_EQ(model::read_metadata(folder / "w").at("step"), "3");
}

}  // namespace
