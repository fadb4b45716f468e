// parameter: strict text to value, ranges, and decoding of whole maps.
#include "graph/parameter.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace graph {
namespace {

[[noreturn]] void expected(const Value& value, const std::string& what) {
  throw Error(value.place, "expected " + what + ", got " + value.describe());
}

// YAML 1.1 reads 010 as 8, YAML 1.2 as 10; refusing it is the only reading nobody is surprised by.
bool leading_zero(const std::string& text) {
  const std::size_t at = text.starts_with('-') ? 1 : 0;
  return text.size() > at + 1 && text[at] == '0' && text[at + 1] >= '0' && text[at + 1] <= '9';
}

template <class N>
N number(const Value& value, const std::string& what) {
  if (!value.is_scalar() || leading_zero(value.scalar)) expected(value, what);
  N result{};
  const auto* begin = value.scalar.data();
  const auto* end = begin + value.scalar.size();
  const auto [at, code] = std::from_chars(begin, end, result);
  if (code == std::errc::result_out_of_range)
    throw Error(value.place, value.scalar + " is too large for " + what);
  if (code != std::errc{} || at != end) expected(value, what);
  return result;
}

Value scalar(std::string text) {
  Value value;
  value.kind = Value::Kind::scalar;
  value.scalar = std::move(text);
  return value;
}

}  // namespace

bool Codec<bool>::decode(const Value& value) {
  if (value.is_scalar() && value.scalar == "true") return true;
  if (value.is_scalar() && value.scalar == "false") return false;
  expected(value, "true or false");
}
Value Codec<bool>::encode(bool value) { return scalar(value ? "true" : "false"); }

std::int64_t Codec<std::int64_t>::decode(const Value& value) {
  return number<std::int64_t>(value, "an integer");
}
Value Codec<std::int64_t>::encode(std::int64_t value) { return scalar(std::to_string(value)); }

std::uint64_t Codec<std::uint64_t>::decode(const Value& value) {
  return number<std::uint64_t>(value, "a natural number");
}
Value Codec<std::uint64_t>::encode(std::uint64_t value) { return scalar(std::to_string(value)); }

int Codec<int>::decode(const Value& value) { return number<int>(value, "an integer"); }

double Codec<double>::decode(const Value& value) {
  const auto decoded = number<double>(value, "a number");
  // from_chars reads "inf" and "nan", which no parameter here can mean.
  if (!(decoded >= std::numeric_limits<double>::lowest() && decoded <= std::numeric_limits<double>::max()))
    expected(value, "a finite number");
  return decoded;
}
Value Codec<double>::encode(double value) {
  // The shortest text that reads back to the same double.
  return scalar(fmt::format("{}", value));
}

std::string Codec<std::string>::decode(const Value& value) {
  if (!value.is_scalar()) expected(value, "text");
  return value.scalar;
}
Value Codec<std::string>::encode(const std::string& value) { return scalar(value); }

std::string Range::text() const {
  if (!choices.empty()) return join(choices, " | ");
  const auto show = [](double number) { return fmt::format("{}", number); };
  if (low && high)
    return show(*low) + (low_open ? " (open)" : "") + " to " + show(*high) + (high_open ? " (open)" : "");
  if (low) return (low_open ? "above " : "at least ") + show(*low);
  if (high) return (high_open ? "below " : "at most ") + show(*high);
  return "";
}

void check_range(const Range& range, double number, const Place& place) {
  const bool too_low = range.low && (range.low_open ? number <= *range.low : number < *range.low);
  const bool too_high = range.high && (range.high_open ? number >= *range.high : number > *range.high);
  if (too_low || too_high)
    throw Error(place, fmt::format("{} is out of range; expected {}", number, range.text()));
}

void check_range(const Range& range, const std::string& word, const Place& place) {
  if (range.choices.empty() || std::ranges::find(range.choices, word) != range.choices.end()) return;
  throw Error(place, "expected " + join(range.choices, " | ") + ", got '" + word + "'" +
                         did_you_mean(word, range.choices));
}

std::string Parameter::text(const void* params) const {
  auto yaml = to_yaml(encode(params));
  while (!yaml.empty() && yaml.back() == '\n') yaml.pop_back();
  return yaml;
}

void decode(const std::vector<Parameter>& parameters, const std::vector<std::string>& reserved, void* params,
            const Value& given, const std::string& who, std::vector<Problem>& problems) {
  for (const auto& entry : given.entries) {
    if (std::ranges::find(reserved, entry.key) != reserved.end()) continue;
    const auto parameter = std::ranges::find(parameters, entry.key, &Parameter::name);
    if (parameter == parameters.end()) {
      std::vector<std::string> names = reserved;
      for (const auto& known : parameters) names.push_back(known.name);
      problems.push_back(
          {entry.place, who + ": unknown parameter '" + entry.key + "'" + did_you_mean(entry.key, names)});
      continue;
    }
    try {
      parameter->decode(params, entry.value);
    } catch (const Error& error) {
      for (const auto& problem : error.problems())
        problems.push_back({problem.place, who + ": '" + entry.key + "': " + problem.text});
    }
  }
}

}  // namespace graph
