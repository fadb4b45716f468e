// figures: shares, means, medians, lines.
#include "stages/eval/figures.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

namespace stages {
namespace {

// Three digits that say something, and whole numbers in full.
std::string text_of(const Figures& figure) {
  if (!figure.is_number()) return "none";
  const auto number = figure.get<double>(), size = std::abs(number);
  return fmt::format("{:.{}f}", number, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

}  // namespace

Figures Share::figure() const {
  return of == 0 ? Figures() : Figures(static_cast<double>(right) / static_cast<double>(of));
}

Figures Mean::figure() const { return of == 0 ? Figures() : Figures(sum / static_cast<double>(of)); }

Figures median(std::vector<double> numbers) {
  if (numbers.empty()) return nullptr;
  std::ranges::sort(numbers);
  const auto half = numbers.size() / 2;
  return numbers.size() % 2 == 1 ? numbers[half] : (numbers[half - 1] + numbers[half]) / 2;
}

std::string table(const Figures& figures) {
  std::string lines;
  for (const auto& [name, figure] : figures.items()) {
    auto line = fmt::format("{:<21}", name);
    if (figure.is_object())
      for (const auto& [at, number] : figure.items())
        line += fmt::format(" {:>6} {:<8}", at, text_of(number));
    else
      line += fmt::format(" {:>6} {}", "", text_of(figure));
    lines += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return lines;
}

}  // namespace stages
