// noise: what all samplers of noise levels share: the mixing, and how levels lie over the frames of a clip.
//
//   x_t = (1 - t) x0 + t z        z ~ N(0, 1)
//   v   = x0 - z                  t = 0 is data, t = 1 is noise
//
// A sampler draws a level t for every frame, a function of seed and message number alone. `per` says what keeps one:
//
//   frame   each frame (diffusion forcing), so one clip shows clean past frames beside noisy present ones
//   clip    each clip: all its frames take the level of the first
//
// and `context` what the network sees before a frame:
//
//   noisy   frames at levels as drawn
//   clean   a past as in play with `commit: renoised`: the first n frames of a clip, n uniform in 1 … T-1, are at one
//           level, uniform in [0, context_noise], and those after them at levels as drawn
//
// The loss is taken on the frames of that past too, since play passes finished frames through the network at such a
// level. They are half of all frames on average, which leaves fewer to learn the present from.
//
// Sources: Liu et al. 2022 arXiv:2209.03003 (the path; t = 1 is noise here) · Chen et al. 2024 arXiv:2407.01392
// (diffusion forcing)
#pragma once

#include <ATen/core/Generator.h>

#include <cstdint>
#include <string>

#include "graph/stage.h"
#include "stages/types.h"

namespace stages {

/// Parameters that every sampler has.
struct NoiseParams {
  std::string per = "frame";
  std::string context = "noisy";
  double context_noise = 0.1;
  std::uint64_t seed = 0;
};

/// What `per` and `context` make of drawn levels t [B,T]: levels [B,T] in [0,1]. A clip of one frame has no past. It
/// draws from `random` with `context: clean` alone.
at::Tensor arrange(const at::Tensor& t, const NoiseParams& params, at::Generator random);

/// x_t and v at the levels t [B,T], with z drawn from `random`.
NoisyPatches mix(const Patches& clean, const at::Tensor& t, at::Generator random);

/// Declares a sampler's ports and what NoiseParams holds.
template <class Sampler>
graph::Stage<Sampler>& declare_noise(graph::Stage<Sampler>& stage) {
  using P = NoiseParams;
  return stage.in("clean", "x [B,T,P,D] float32 in [-1,1], action [B,T]")
      .out("noisy", "x_t and v [B,T,P,D], t [B,T] in [0,1], action unchanged")
      .param("per", &P::per, "what has a level of its own", graph::one_of({"frame", "clip"}))
      .param("context", &P::context,
             "levels as drawn, or behind a nearly clean past of random length, as in play",
             graph::one_of({"noisy", "clean"}))
      .param("context_noise", &P::context_noise, "highest level of a clean past", graph::between(0, 1))
      .shared("seed", &P::seed, "same seed, same noise");
}

}  // namespace stages
