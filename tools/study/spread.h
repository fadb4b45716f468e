// spread: how far the same settings stray from seed to seed, and whether other settings stray further.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace study {

/// Whether numbers are one but for rounding: within 1e-9 of the largest. So are none.
bool alike(const std::vector<double>& numbers);

/// Of the numbers that some seeds gave.
struct Spread {
  std::size_t n = 0;
  double mean = 0;
  double deviation = 0;  // the sample's, with n - 1; 0 for one number
};

Spread spread_of(const std::vector<double>& numbers);

/// "31.23 ± 0.41", without the deviation for one number, "none" for none.
std::string text_of(const Spread& spread);

/// How likely seeds alone bring the mean of differences so far from 0: the paired t test, two-sided. Cells of one seed
/// share their games, often their training too, and rise and fall together; so each difference is one of two cells
/// with the same seed. 1 where there is nothing to test: of fewer than two differences, and of such as are alike.
///
///   t = mean / (deviation / √n),   with n - 1 degrees of freedom
///
/// Source: Student 1908, Biometrika 6
double p_value(const std::vector<double>& differences);

/// Which of several comparisons are beyond the spread of seeds, by their p values: at 5 % for all together, with Holm's
/// correction.
///
///   p_0 ≤ p_1 ≤ … of m comparisons: those before the first p_i > 0.05 / (m - i)
///
/// Source: Holm 1979, Scandinavian Journal of Statistics 6
std::vector<bool> holm(const std::vector<double>& p_values);

/// What can be said, in words, of combinations that are compared with the best. `worse_by` has for each of them by how
/// much it is worse, in every seed that both have.
std::vector<std::string> verdicts(const std::vector<std::vector<double>>& worse_by);

}  // namespace study
