// figures: what is made of many measured numbers, and the tables in which they are shown.
#include "tools/figures.h"

#include <algorithm>
#include <cstdio>

namespace tools {
namespace {

constexpr std::size_t name_width = 36, least_width = 8, gap = 2;

}  // namespace

double quantile(std::vector<double> numbers, double share) {
  std::ranges::sort(numbers);
  const auto place = share * static_cast<double>(numbers.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const auto above = std::min(below + 1, numbers.size() - 1);
  return numbers[below] + (place - static_cast<double>(below)) * (numbers[above] - numbers[below]);
}

std::string fixed(double number, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, number);
  return text;
}

std::string percent(double share) { return fixed(100 * share, 1) + " %"; }

Table::Table(std::vector<std::string> heads) : heads_(std::move(heads)) { row("", heads_); }

void Table::row(const std::string& name, const std::vector<std::string>& cells) const {
  std::printf("%-*s", static_cast<int>(name_width), name.c_str());
  for (std::size_t i = 0; i < cells.size(); ++i)
    std::printf("%*s", static_cast<int>(std::max(heads_[i].size(), least_width) + gap), cells[i].c_str());
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace tools
