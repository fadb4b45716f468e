// spread: mean, deviation, Welch's test.
#include "tools/study/spread.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

namespace study {

Spread spread_of(const std::vector<double>& numbers) {
  Spread spread{.n = numbers.size()};
  if (numbers.empty()) return spread;
  const auto n = static_cast<double>(numbers.size());
  for (const auto number : numbers) spread.mean += number / n;
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

bool differ(const Spread& a, const Spread& b) {
  // The variance of a mean, and its share in the degrees of freedom.
  const auto variance = [](const Spread& each) {
    return each.deviation * each.deviation / static_cast<double>(each.n);
  };
  const auto share = [&](const Spread& each) {
    return variance(each) * variance(each) / static_cast<double>(each.n - 1);
  };
  const auto both = variance(a) + variance(b), difference = std::abs(a.mean - b.mean);
  if (both == 0) return difference > 0;
  const boost::math::students_t distribution(both * both / (share(a) + share(b)));
  constexpr double level = 0.05;
  return difference / std::sqrt(both) > boost::math::quantile(distribution, 1 - level / 2);
}

std::string verdict(const Spread& best, const Spread& other) {
  const auto n =
      best.n == other.n ? fmt::format("n={}", other.n) : fmt::format("n={} and {}", best.n, other.n);
  if (std::min(best.n, other.n) < 2)
    return "with one seed nothing can be said about the difference to the best";
  return differ(best, other)
             ? fmt::format("worse than the best by {:.2g}, which is beyond the spread of seeds ({})",
                           std::abs(best.mean - other.mean), n)
             : fmt::format("the difference to the best is within the spread of seeds ({})", n);
}

}  // namespace study
