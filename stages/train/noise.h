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
//   noisy    the frames before it, at levels as drawn (diffusion forcing)
//   prefix   the first n frames of a clip, n uniform in 1 … T-1, are at one level, uniform in [0, context_noise], and
//            those after them at levels as drawn. The loss is taken on all of them, so half is spent on the past.
//   given    the clip a second time, each frame at a level uniform in [0, context_noise]: a frame sees itself and what
//            play shows it, nearly clean frames, but none of its noisy fellows (teacher forcing). A clip costs almost
//            twice as much, and every frame is one to learn from; see Mmdit::forward.
//
// Sources: Liu et al. 2022 arXiv:2209.03003 (the path; t = 1 is noise here) · Chen et al. 2024 arXiv:2407.01392
// (diffusion forcing) · Hu et al. 2024 arXiv:2412.07720 (clean and noisy frames side by side)
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

/// x_t and v at the levels t [B,T], as `params` arranges them, with all else drawn from `random`. With the context
/// `given` of 2T frames, the first T of which are the past.
NoisyPatches mix(const Patches& clean, const at::Tensor& t, const NoiseParams& params, at::Generator random);

/// What x_t and v are made of, each [B,T,P,D].
struct Parts {
  at::Tensor x0, z;
};
Parts parts_of(const NoisyPatches& batch);
/// `batch` with other data, or other noise, at its levels.
NoisyPatches with_parts(const NoisyPatches& batch, const Parts& parts);

/// Declares a sampler's ports and what NoiseParams holds.
template <class Sampler>
graph::Stage<Sampler>& declare_noise(graph::Stage<Sampler>& stage) {
  using P = NoiseParams;
  return stage.in("clean", "x [B,T,P,D] float32 in [-1,1], action [B,T]")
      .out("noisy", "x_t and v [B,T,P,D], t [B,T] in [0,1], action; of 2T frames where the past is given")
      .param("per", &P::per, "what has a level of its own", graph::one_of({"frame", "clip"}))
      .param(
          "context", &P::context,
          "what stands before a frame: frames as noisy as they come, a nearly clean prefix of the clip, or "
          "the whole clip nearly clean, given beside the noisy one",
          graph::one_of({"noisy", "prefix", "given"}))
      .param("context_noise", &P::context_noise, "highest level of a clean past", graph::between(0, 1))
      .shared("seed", &P::seed, "same seed, same noise");
}

}  // namespace stages
