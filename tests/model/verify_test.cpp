// verify_test: this network's numbers are the reference's, and numbers that are not are seen.
#include "stages/model/verify.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <functional>
#include <map>

#include "tests/folder.h"
#include "tests/model/golden.h"

namespace {

using golden::refusal;
using model::Agreement;
using tests::Folder;
namespace fs = std::filesystem;

const fs::path rope = fs::path(GOLDEN_DIR) / "rope", vid = fs::path(GOLDEN_DIR) / "vid",
               schedules = fs::path(GOLDEN_DIR) / "schedules.json";

std::map<std::string, Agreement> verify(const fs::path& path) {
  std::map<std::string, Agreement> groups;
  model::verify(path, [&](const Agreement& agreement) { groups.emplace(agreement.group, agreement); });
  return groups;
}

std::string names(const std::map<std::string, Agreement>& groups) {
  std::string all;
  for (const auto& [name, agreement] : groups) all += (all.empty() ? "" : "|") + name;
  return all;
}

std::string failing(const std::map<std::string, Agreement>& groups) {
  std::string all;
  for (const auto& [name, agreement] : groups)
    if (!agreement.holds()) all += (all.empty() ? "" : "|") + name;
  return all;
}

void expect_all_hold(const std::map<std::string, Agreement>& groups) {
  for (const auto& [name, agreement] : groups) {
    EXPECT_TRUE(agreement.holds()) << name << ", worst " << agreement.worst << ": "
                                   << golden::figure(agreement.absolute) << " absolute, "
                                   << golden::figure(agreement.relative) << " relative, tolerance "
                                   << agreement.tolerance;
  }
}

TEST(Reference, NetworkRolloutsAndOptimizerAgree) {
  const auto groups = verify(rope);
  EXPECT_EQ(
      names(groups),
      "gradients|loss|opt.losses, first two|opt.losses, others|opt.lrs|opt.param|opt.param, rounding and all|"
      "rollout0|rollout1|v_pred|x_t");
  expect_all_hold(groups);
}

// Small networks of the other kinds. vid: no norms in the stem, frames of 12 x 18, two players, guidance 0 and 1.5.
TEST(Reference, OtherKindsAgree) {
  for (const auto& [name, rollouts] :
       {std::pair("vid", 2), std::pair("learn", 1), std::pair("bidirectional", 0)}) {
    const auto groups = verify(fs::path(GOLDEN_DIR) / name);
    EXPECT_EQ(groups.size(), 9u + rollouts) << name << ": " << names(groups);
    expect_all_hold(groups);
  }
}

TEST(Reference, SchedulesAgree) {
  const auto groups = verify(schedules);
  EXPECT_EQ(names(groups), "sigmas|timesteps|trajectories");
  expect_all_hold(groups);
}

// A copy of a golden folder in which one tensor is another.
std::string failing_with(const std::string& name, const std::function<at::Tensor(at::Tensor)>& change) {
  const Folder folder;
  for (const char* file : {"config.json", "model.pt"}) fs::copy_file(vid / file, folder / file);
  auto file = model::read_safetensors(vid / "golden.safetensors");
  for (std::size_t i = 0; i < file.tensors.size(); ++i)
    if (file.tensors.names[i] == name) file.tensors.tensors[i] = change(file.tensors.tensors[i].clone());
  model::write_safetensors(folder / "golden.safetensors", file);
  try {
    return failing(verify(folder.path()));
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

TEST(Verify, SeesWhatDoesNotAgree) {
  const auto scaled = [](double by) { return [by](at::Tensor tensor) { return tensor * by; }; };
  EXPECT_EQ(failing_with("train.x_t", scaled(1)), "");
  EXPECT_EQ(failing_with("train.v_pred", scaled(1 + 2e-5)), "v_pred");
  EXPECT_EQ(failing_with("train.loss", scaled(1 + 2e-5)), "loss");
  EXPECT_EQ(failing_with("grad.registers", scaled(1 + 2e-4)), "gradients");
  EXPECT_EQ(failing_with("opt.lrs", scaled(1 + 2e-6)), "opt.lrs");
  EXPECT_EQ(failing_with("rollout1.frames",
                         [](at::Tensor frames) {
                           frames.select(1, frames.size(1) - 1)[1][2][11][17] += 2e-4;
                           return frames;
                         }),
            "rollout1");
  EXPECT_EQ(failing_with("opt.param.blocks.0.geglu.down.weight", scaled(1.1)), "opt.param");
  EXPECT_EQ(failing_with("opt.param.norm.w", scaled(1 + 2e-4)), "opt.param");
  EXPECT_EQ(failing_with("train.v_pred", scaled(std::nan(""))), "v_pred");
}

TEST(Verify, RefusesTensorsThatDoNotBelongTogether) {
  const auto refused = [](const std::string& name, const std::function<at::Tensor(at::Tensor)>& change) {
    const auto what = failing_with(name, change);
    EXPECT_TRUE(what.starts_with(fs::temp_directory_path().string())) << name << ": " << what;
  };
  refused("train.t", [](at::Tensor t) { return t + 5; });
  refused("train.t", [](at::Tensor t) { return t * std::nan(""); });
  refused("train.actions", [](at::Tensor actions) { return actions - 9; });
  refused("rollout0.steps_cfg", [](at::Tensor chosen) { return chosen.narrow(0, 0, 1); });
  refused("rollout0.frames", [](at::Tensor frames) { return frames.narrow(1, 0, 0).clone(); });
  refused("opt.lrs", [](at::Tensor rates) { return rates.narrow(0, 0, 2).clone(); });
  refused("train.v_pred", [](at::Tensor v) { return v.narrow(1, 0, 1).clone(); });
}

TEST(Verify, RefusesWhatItCannotCompare) {
  const Folder folder;
  EXPECT_NE(refusal<std::runtime_error>([&] { verify(folder.path()); }).find("config.json: no such file"),
            std::string::npos);
  EXPECT_NE(refusal<std::runtime_error>([&] { verify(folder / "no.json"); }).find("no.json: no such file"),
            std::string::npos);
  std::ofstream(folder / "empty.json") << "{}";
  EXPECT_NE(refusal<std::runtime_error>([&] { verify(folder / "empty.json"); }).find("nothing to compare"),
            std::string::npos);
  std::ofstream(folder / "odd.json")
      << R"({"diffusers": [{"name": "odd", "steps": 2, "options": {"snr": 1}, "sigmas": [1, 0.5, 0]}]})";
  EXPECT_NE(
      refusal<std::runtime_error>([&] { verify(folder / "odd.json"); }).find("option 'snr' is not known"),
      std::string::npos);
}

}  // namespace
