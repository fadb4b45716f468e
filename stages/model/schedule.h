// schedule: noise levels of a sampler's steps, and learning rates over a run.
#pragma once

#include <string>
#include <vector>

namespace model {

// Which noise levels a sampler passes through on its way from noise to data.
//
//   shifted_linear   t = s·u/(1 + (s−1)·u) on u = 1 − i/steps, with s = shift
//   sd3              diffusers' FlowMatchEulerDiscreteScheduler: the levels run evenly from 1 to the shifted 1/1000, are
//                    shifted once more, and a step to 0 follows. From two steps on, the last level above 0 is the
//                    same for any number of them: 0.0089 with shift 3. `spacing` then lays the levels anew between
//                    the first and that one
//   linear           t = u: even steps
//   cosine           t/(1−t) = tan(u·π/2), the ratio of noise to data in the cosine schedule, which mixes data and noise
//                    as cosine and sine. Small steps in the middle
//   karras           t/(1−t) = σ = (80^(1/ρ) + r·(0.002^(1/ρ) − 80^(1/ρ)))^ρ on r = i/(steps−1), with ρ = rho; a step
//                    to 0 follows. The first level is 1 instead of 0.988: at σ = 80 there is nothing but noise. (sd3's
//                    spacing of that name lays t itself by this formula, with ρ = 7)
//   custom           `levels`, as they are
//
// A shift above 1 spends more steps near noise, a rho above 1 near data.
// Sources: Esser et al. 2024 arXiv:2403.03206 (the shift, and cosine as CosMap) · toy-wm (shifted_linear, shift 3) ·
// huggingface/diffusers · Nichol & Dhariwal 2021 arXiv:2102.09672 (cosine) · Karras et al. 2022 arXiv:2206.00364
struct Schedule {
  std::string schedule = "shifted_linear";
  double shift = 3;                // shifted_linear, sd3: 0.001 to 1000
  std::string spacing = "linear";  // sd3: linear | karras | exponential | beta, see noise_levels()
  double terminal = 0;             // sd3: the last level above 0, in [0,1); 0: as it comes
  double rho = 7;                  // karras: 1 to 100
  std::vector<double> levels;      // custom: from 1 down to 0, both included
};

// The names that Schedule::schedule and Schedule::spacing take.
const std::vector<std::string>& schedules();
const std::vector<std::string>& spacings();

// The levels of 1 to 1000 steps: steps+1 of them, 1 … 0, falling; of custom its own, whatever `steps` says. Throws
// std::invalid_argument with the name, the value and what was expected, also where a value was set that the schedule
// does not read (but for the shift, of which no value means none).
//
// Spacings between the first level a and the last b, r from 0 to 1:
//   karras        (a^(1/7) + r·(b^(1/7) − a^(1/7)))^7                        Karras et al. 2022 arXiv:2206.00364
//   exponential   exp(ln a + r·(ln b − ln a))
//   beta          b + (a − b)·F⁻¹(1 − r), F of the distribution Beta(0.6, 0.6)    Lee et al. 2024 arXiv:2407.12173
std::vector<double> noise_levels(const Schedule& schedule, int steps);

// The share in [0,1] of the full learning rate at `position` of a run that ends at `end`: linear from 0 over
// the first `warmup`, then half a cosine to 0. The three are in any one unit: steps, or progress with end
// = 1. In steps this is the reference's, whose first step has rate 0.
double cosine_with_warmup(double position, double warmup, double end);

}  // namespace model
