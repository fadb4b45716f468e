// actions: the names, in the order of the numbers.
#include "stages/play/actions.h"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <vector>

#include "graph/error.h"

namespace stages {
namespace {

const std::vector<std::string> names{"none", "stay", "up", "down"};

}  // namespace

std::int64_t action_of(const std::string& word) {
  const auto name = std::ranges::find(names, word);
  if (name != names.end()) return name - names.begin();
  std::int64_t number = 0;
  const auto* end = word.data() + word.size();
  if (const auto [at, code] = std::from_chars(word.data(), end, number);
      code == std::errc{} && at == end && number >= 0)
    return number;
  throw graph::Error("unknown action '" + word + "'; expected " + graph::join(names, " | ") + " or a number");
}

std::vector<Hold> script_of(const std::string& text) {
  std::vector<Hold> holds;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    std::istringstream words(part);
    std::int64_t frames = 0;
    std::string word, rest;
    if (!(words >> frames >> word) || frames < 1 || frames > 1'000'000 || words >> rest)
      throw graph::Error("script: expected a number of frames and an action, as in '30 up', got '" + part +
                         "'");
    holds.push_back({static_cast<std::uint64_t>(frames), action_of(word)});
  }
  graph::require(!holds.empty(), "script: empty; expected something like '30 up, 30 down'");
  return holds;
}

std::string action_name(std::int64_t action) {
  const auto index = static_cast<std::size_t>(action);
  return index < names.size() ? names[index] : std::to_string(action);
}

}  // namespace stages
