// figures: what is made of many measured numbers, and the tables in which they are shown.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace tools {

/// Of at least one number; `share` from 0 to 1, 0.5 is the median. Linear between neighbours.
double quantile(std::vector<double> numbers, double share);

/// Of what `of`, a member or a function, makes of each.
template <class Each, class Of>
double median(const std::vector<Each>& all, Of&& of) {
  std::vector<double> numbers;
  for (const auto& each : all) numbers.push_back(std::invoke(of, each));
  return quantile(std::move(numbers), 0.5);
}

/// "12.35" of 12.345 and 2 digits.
std::string fixed(double number, int digits);
/// "12.3 %" of 0.123.
std::string percent(double share);

/// Prints its heads when it is made, and rows as they come. The first column names the rows; it has no head.
class Table {
 public:
  explicit Table(std::vector<std::string> heads);
  void row(const std::string& name, const std::vector<std::string>& cells) const;

 private:
  std::vector<std::string> heads_;
};

}  // namespace tools
