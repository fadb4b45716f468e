// evaluations: the solver's, counted, and the commit's.
#include "stages/play/evaluations.h"

#include <map>
#include <string>
#include <vector>

#include "graph/parameter.h"
#include "stages/play/solvers.h"

namespace stages {
namespace {

const std::map<std::string, Solver>& solvers() {
  static const std::map<std::string, Solver> all{
      {"euler_denoiser", euler},
      {"heun_denoiser", heun},
      {"midpoint_denoiser", midpoint},
      {"ab2_denoiser", ab2},
      {"dpmpp_2m_denoiser", dpmpp_2m},
      {"stochastic_euler_denoiser",
       [](const Velocity& v, const Noise& noise, const std::vector<double>& levels) {
         return stochastic_euler(v, noise, levels, 0);
       }},
  };
  return all;
}

// How often a solver evaluates follows from the number of levels alone.
std::vector<double> even_levels(int steps) {
  std::vector<double> levels;
  for (int i = 0; i <= steps; ++i) levels.push_back(1 - static_cast<double>(i) / steps);
  return levels;
}

}  // namespace

std::optional<int> evaluations_per_frame(const graph::Value& denoiser) {
  const auto text = [&](const char* key) { return denoiser.find(key)->scalar; };
  const auto solver = solvers().find(text("type"));
  if (solver == solvers().end()) return std::nullopt;
  const int steps = text("schedule") == "custom" ? static_cast<int>(denoiser.find("levels")->items.size()) - 1
                                                 : graph::Codec<int>::decode(*denoiser.find("steps"));
  const auto solving = static_cast<int>(evaluated_levels(solver->second, even_levels(steps)).size());
  const bool guides = graph::Codec<double>::decode(*denoiser.find("guidance")) != 1;
  // With a cache of its own, the branch without action has a commit of its own.
  const int commit = text("commit") == "last_step" ? 0 : guides && text("guidance_cache") == "own" ? 2 : 1;
  return (guides ? 2 : 1) * solving + commit;
}

}  // namespace stages
