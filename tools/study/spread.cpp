// spread: mean, deviation, the paired test, Holm's correction.
#include "tools/study/spread.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

namespace study {
namespace {

std::string verdict(const std::vector<double>& worse_by, bool beyond) {
  const auto spread = spread_of(worse_by);
  if (spread.n < 2)
    return fmt::format("with {} nothing can be said about the difference to the best",
                       spread.n == 0 ? "no seed in common" : "one seed");
  const auto by =
      fmt::format("{} than the best by {:.2g}", spread.mean < 0 ? "better" : "worse", std::abs(spread.mean));
  if (alike(worse_by))
    return spread.mean == 0
               ? fmt::format("equal in every seed (n={})", spread.n)
               : fmt::format("{}, the same difference in every seed (n={}), no spread to test against", by,
                             spread.n);
  return fmt::format("{}, which is {} the spread of seeds (n={})", by,
                     beyond ? "beyond" : "not shown to be beyond", spread.n);
}

}  // namespace

bool alike(const std::vector<double>& numbers) {
  if (numbers.empty()) return true;
  const auto [least, most] = std::ranges::minmax(numbers);
  return most - least <= 1e-9 * std::max(std::abs(least), std::abs(most));
}

Spread spread_of(const std::vector<double>& numbers) {
  Spread spread{.n = numbers.size()};
  if (numbers.empty()) return spread;
  const auto n = static_cast<double>(numbers.size());
  // From the first on: the mean of equal numbers is that number, to the last digit.
  spread.mean = numbers.front();
  for (const auto number : numbers) spread.mean += (number - numbers.front()) / n;
  double squares = 0;
  for (const auto number : numbers) squares += (number - spread.mean) * (number - spread.mean);
  if (numbers.size() > 1) spread.deviation = std::sqrt(squares / (n - 1));
  return spread;
}

std::string text_of(const Spread& spread) {
  if (spread.n == 0) return "none";
  if (spread.n == 1) return fmt::format("{:.4g}", spread.mean);
  return fmt::format("{:.4g} ± {:.2g}", spread.mean, spread.deviation);
}

double p_value(const std::vector<double>& differences) {
  if (differences.size() < 2 || alike(differences)) return 1;
  const auto spread = spread_of(differences);
  const auto n = static_cast<double>(spread.n);
  const auto t = std::abs(spread.mean) / (spread.deviation / std::sqrt(n));
  const boost::math::students_t distribution(n - 1);
  return 2 * boost::math::cdf(boost::math::complement(distribution, t));
}

std::vector<bool> holm(const std::vector<double>& p_values) {
  constexpr double level = 0.05;
  std::vector<std::size_t> rising(p_values.size());
  std::iota(rising.begin(), rising.end(), std::size_t{0});
  std::ranges::sort(rising, {}, [&](std::size_t i) { return p_values[i]; });
  std::vector<bool> beyond(p_values.size(), false);
  auto left = static_cast<double>(p_values.size());
  for (const auto i : rising) {
    if (p_values[i] > level / left) break;
    beyond[i] = true;
    --left;
  }
  return beyond;
}

std::vector<std::string> verdicts(const std::vector<std::vector<double>>& worse_by) {
  std::vector<double> p_values;
  for (const auto& each : worse_by) p_values.push_back(p_value(each));
  const auto beyond = holm(p_values);
  std::vector<std::string> all;
  for (std::size_t i = 0; i < worse_by.size(); ++i) all.push_back(verdict(worse_by[i], beyond[i]));
  return all;
}

}  // namespace study
