// noise_levels: the distributions that noise levels are drawn from in training.
//
// One struct each: its parameters, their declaration, and draws. Formula and source stand at the top of the stage of
// that name, such as mode_noise.cpp.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "graph/stage.h"

namespace stages {

// draw() gives levels t in [0,1], float32 on the CPU; the randomness is all from `random`. declare() declares the
// parameters, for a stage whose Params derive from the struct.

struct LogitNormalLevels {
  double mean = 0, std = 1;

  at::Tensor draw(at::IntArrayRef sizes, at::Generator random) const;

  template <class Sampler>
  static graph::Stage<Sampler>& declare(graph::Stage<Sampler>& stage) {
    return stage
        .param("mean", &LogitNormalLevels::mean,
               "of logit-normal levels: centre of logit(t); above 0 trains noisier frames")
        .param("std", &LogitNormalLevels::std, "of logit-normal levels: spread of logit(t)", graph::above(0));
  }
};

struct UniformLevels {
  double low = 0, high = 1;

  at::Tensor draw(at::IntArrayRef sizes, at::Generator random) const;

  template <class Sampler>
  static graph::Stage<Sampler>& declare(graph::Stage<Sampler>& stage) {
    return stage.param("low", &UniformLevels::low, "one end of uniform levels", graph::between(0, 1))
        .param("high", &UniformLevels::high, "the other end of uniform levels", graph::between(0, 1));
  }
};

struct ModeLevels {
  double scale = 1.29;

  at::Tensor draw(at::IntArrayRef sizes, at::Generator random) const;

  template <class Sampler>
  static graph::Stage<Sampler>& declare(graph::Stage<Sampler>& stage) {
    return stage.param("scale", &ModeLevels::scale,
                       "of mode levels: above 0 favours the middle, below 0 the ends; 0 is uniform",
                       graph::between(-1, 1.75));
  }
};

struct CosmapLevels {
  at::Tensor draw(at::IntArrayRef sizes, at::Generator random) const;
};

struct BetaLevels {
  double alpha = 1.5, beta = 1;

  at::Tensor draw(at::IntArrayRef sizes, at::Generator random) const;

  template <class Sampler>
  static graph::Stage<Sampler>& declare(graph::Stage<Sampler>& stage) {
    return stage
        .param("alpha", &BetaLevels::alpha, "of beta levels: above beta trains noisier frames",
               graph::at_least(0.1))
        .param("beta", &BetaLevels::beta, "of beta levels: above alpha trains cleaner frames",
               graph::at_least(0.1));
  }
};

}  // namespace stages
