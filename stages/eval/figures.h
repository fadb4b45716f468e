// figures: what is measured of a model, as JSON, and as a table for people.
//
// A figure is a number under its name, or a map from horizon, part or quantile to numbers. null is what could not be
// measured, as a bounce in an episode without one.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace stages {

using Figures = nlohmann::ordered_json;

/// Of `of` cases, those that are as they should be.
struct Share {
  std::int64_t right = 0, of = 0;

  void add(bool is_right) {
    right += is_right ? 1 : 0;
    ++of;
  }
  Figures figure() const;
};

struct Mean {
  double sum = 0;
  std::int64_t of = 0;

  void add(double number) {
    sum += number;
    ++of;
  }
  Figures figure() const;
};

/// Of an even number of them the mean of the middle two.
Figures median(std::vector<double> numbers);

/// A line for each figure.
std::string table(const Figures& figures);

}  // namespace stages
