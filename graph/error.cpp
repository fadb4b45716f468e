// error: formatting of problems and the "did you mean" hint.
#include "graph/error.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace graph {
namespace {

std::string lines(const std::vector<Problem>& problems) {
  std::string text;
  for (const auto& problem : problems) {
    if (!text.empty()) text += '\n';
    const auto place = problem.place.text();
    text += place.empty() ? problem.text : place + ": " + problem.text;
  }
  return text;
}

// Levenshtein's distance with two rows.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> above(b.size() + 1), row(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j)
      row[j + 1] = std::min({above[j + 1] + 1, row[j] + 1, above[j] + (a[i] == b[j] ? 0 : 1)});
    std::swap(above, row);
  }
  return above[b.size()];
}

}  // namespace

std::string Place::text() const {
  if (line == 0) return file;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column);
}

Error::Error(const std::string& text) : Error(std::vector<Problem>{{Place{}, text}}) {}

Error::Error(Place place, std::string text)
    : Error(std::vector<Problem>{{std::move(place), std::move(text)}}) {}

Error::Error(std::vector<Problem> problems)
    : std::runtime_error(lines(problems)), problems_(std::move(problems)) {}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  // A file may hold a word of any length, and the distance costs the product of both lengths.
  if (word.size() > 64) return "";
  std::string best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const auto d = distance(word, candidate);
    if (d < least) {
      least = d;
      best = candidate;
    }
  }
  return best.empty() ? "" : "; did you mean '" + best + "'?";
}

std::string join(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

}  // namespace graph
