// spread: how far the same settings stray from seed to seed, and whether other settings stray further.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace study {

/// Of the numbers that some seeds gave.
struct Spread {
  std::size_t n = 0;
  double mean = 0;
  double deviation = 0;  // the sample's, with n - 1; 0 for one number
};

Spread spread_of(const std::vector<double>& numbers);

/// "31.23 ± 0.41", without the deviation for one number, "none" for none.
std::string text_of(const Spread& spread);

/// Whether two means differ by more than seeds explain: Welch's t test, two-sided, at 5 %. Both of at least two numbers.
///
///   t = (a - b) / s,   s² = s_a²/n_a + s_b²/n_b,   with s⁴ / (s_a⁴/(n_a²(n_a - 1)) + s_b⁴/(n_b²(n_b - 1))) degrees of
///   freedom
///
/// Source: Welch 1947, Biometrika 34
bool differ(const Spread& a, const Spread& b);

/// What can be said of the difference between the best and another, in words.
std::string verdict(const Spread& best, const Spread& other);

}  // namespace study
