// verify: recomputes what the reference computed, and says how far apart the two are.
//
// A folder holds config.json, model.pt (torch.save of the state dict) and golden.safetensors with the tensors
//
//   train.x0, .noise [B,T,C,H,W], .actions, .t [B,T]        a batch
//   train.x_t, .v_pred [B,T,C,H,W], .loss [1]               what the reference made of it
//   grad.<parameter>                                        d loss / d parameter
//   rollout<k>.steps_cfg [2], .actions [B,F], .noise, .frames [B,F,C,H,W]
//                                                           Euler steps and guidance; F frames one after the other
//   opt.losses [n], .lrs [n,2], opt.param.<parameter>       n steps on that batch: the loss before each, Muon's and
//                                                           Adam's rates, the parameters after the last
//
// A file is JSON: `diffusers`, a list of {name, options, steps, sigmas, timesteps, trajectory}, and `toy`, a list of
// {steps, shift, sigmas}. A trajectory is x_{i+1} = x_i + (σ_{i+1} − σ_i)·(0.3·x_i + σ_i) from (1, −0.5, 0.25).
//
// Rollouts and the optimizer's steps may be missing, and then are not compared: a bidirectional network cannot
// be played.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace model {

// How far one group of numbers is from the reference's.
struct Agreement {
  enum class Judged { absolute, relative, nothing };

  std::string group;
  double absolute = 0;  // largest |ours − theirs| of a number
  double relative = 0;  // largest ‖ours − theirs‖/‖theirs‖ of a tensor
  Judged judged = Judged::relative;
  std::string worst;      // the tensor that comes nearest to its tolerance or is furthest beyond it
  double difference = 0;  // its own, as judged
  double tolerance = 0;   // its own

  bool holds() const;
};

// Calls `report` with each group as soon as it is computed. Float32 on the CPU; during the optimizer's steps the whole
// process does without oneDNN. Throws std::runtime_error that
// names `path` in its first line when that is missing, broken, or holds nothing to compare.
void verify(const std::filesystem::path& path, const std::function<void(const Agreement&)>& report);

}  // namespace model
