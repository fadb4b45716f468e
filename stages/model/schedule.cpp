// schedule: noise levels of a sampler's steps, and learning rates over a run.
#include "stages/model/schedule.h"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>
#include <numbers>
#include <sstream>
#include <stdexcept>

namespace model {
namespace {

[[noreturn]] void refuse(const char* key, const std::string& value, const std::string& expected) {
  throw std::invalid_argument("schedule: " + std::string(key) + " is " + value + ", expected " + expected);
}

void one_of(const char* key, const std::string& value, const std::vector<std::string>& choices) {
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  std::string expected;
  for (const auto& choice : choices) expected += (expected.empty() ? "" : " | ") + choice;
  refuse(key, "'" + value + "'", expected);
}

double shifted(double u, double shift) { return shift * u / (1 + (shift - 1) * u); }

// `count` numbers from `first` to `last`; the first alone where there is only one.
std::vector<double> evenly(double first, double last, int count) {
  std::vector<double> numbers{first};
  for (int i = 1; i < count; ++i) numbers.push_back(first + (last - first) * i / (count - 1));
  return numbers;
}

double power_spaced(double first, double last, double r, double rho) {
  const double a = std::pow(first, 1 / rho), b = std::pow(last, 1 / rho);
  return std::pow(a + r * (b - a), rho);
}

double spaced(const std::string& spacing, double first, double last, double r) {
  if (spacing == "karras") return power_spaced(first, last, r, 7);
  if (spacing == "exponential") return std::exp(std::log(first) + r * (std::log(last) - std::log(first)));
  return last + (first - last) * boost::math::ibeta_inv(0.6, 0.6, 1 - r);
}

std::vector<double> sd3(const Schedule& given, int steps) {
  constexpr double training_steps = 1000;
  auto levels = evenly(1, shifted(1 / training_steps, given.shift), steps);
  for (double& level : levels) level = shifted(level, given.shift);
  if (given.terminal > 0 && steps > 1) {
    const double scale = (1 - levels.back()) / (1 - given.terminal);
    for (double& level : levels) level = 1 - (1 - level) / scale;
  }
  if (given.spacing != "linear") {
    const double first = levels.front(), last = levels.back();
    const auto ramp = evenly(0, 1, steps);
    for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = spaced(given.spacing, first, last, ramp[i]);
  }
  levels.push_back(0);
  return levels;
}

double cosine(double u) {
  const double angle = u * std::numbers::pi / 2;
  return std::sin(angle) / (std::sin(angle) + std::cos(angle));
}

std::vector<double> karras(double rho, int steps) {
  std::vector<double> levels;
  for (const double r : evenly(0, 1, steps)) {
    const double sigma = power_spaced(80, 0.002, r, rho);
    levels.push_back(sigma / (1 + sigma));
  }
  levels.front() = 1;
  levels.push_back(0);
  return levels;
}

const std::vector<double>& checked(const std::vector<double>& levels) {
  const auto rises = [](double level, double next) { return !(next < level); };
  if (levels.size() > 1 && levels.size() <= 1001 && levels.front() == 1 && levels.back() == 0 &&
      std::adjacent_find(levels.begin(), levels.end(), rises) == levels.end())
    return levels;
  std::ostringstream text;
  const char* comma = "";
  for (const double level : levels) {
    text << comma << level;
    comma = ", ";
  }
  refuse("levels", "[" + text.str() + "]", "1 to 1000 steps down from 1 to 0, as [1, 0.75, 0.4, 0]");
}

}  // namespace

const std::vector<std::string>& schedules() {
  static const std::vector<std::string> names{"shifted_linear", "sd3",    "linear",
                                              "cosine",         "karras", "custom"};
  return names;
}

const std::vector<std::string>& spacings() {
  static const std::vector<std::string> names{"linear", "karras", "exponential", "beta"};
  return names;
}

std::vector<double> noise_levels(const Schedule& given, int steps) {
  one_of("schedule", given.schedule, schedules());
  one_of("spacing", given.spacing, spacings());
  if (steps < 1 || steps > 1000) refuse("steps", std::to_string(steps), "1 to 1000");
  if (!(given.shift >= 0.001 && given.shift <= 1000))
    refuse("shift", std::to_string(given.shift), "0.001 to 1000");
  if (!(given.terminal >= 0 && given.terminal < 1))
    refuse("terminal", std::to_string(given.terminal), "0 or more, below 1");
  if (!(given.rho >= 1 && given.rho <= 100)) refuse("rho", std::to_string(given.rho), "1 to 100");
  const auto is = [&](const char* schedule) { return given.schedule == schedule; };
  if (!is("sd3") && given.spacing != "linear")
    refuse("spacing", "'" + given.spacing + "'", "linear; others are for sd3");
  if (!is("sd3") && given.terminal != 0)
    refuse("terminal", std::to_string(given.terminal), "0; others are for sd3");
  if (!is("karras") && given.rho != 7) refuse("rho", std::to_string(given.rho), "7; others are for karras");
  if (!is("custom") && !given.levels.empty()) refuse("levels", "a list", "none; they are for custom");
  if (is("sd3")) return sd3(given, steps);
  if (is("karras")) return karras(given.rho, steps);
  if (is("custom")) return checked(given.levels);
  std::vector<double> levels;
  for (int i = 0; i <= steps; ++i) {
    const double u = 1 - static_cast<double>(i) / steps;
    levels.push_back(is("linear") ? u : is("cosine") ? cosine(u) : shifted(u, given.shift));
  }
  return levels;
}

double cosine_with_warmup(double position, double warmup, double end) {
  if (position < warmup) return position / warmup;
  if (position >= end) return 0;
  return 0.5 * (1.0 + std::cos(std::numbers::pi * (position - warmup) / (end - warmup)));
}

}  // namespace model
