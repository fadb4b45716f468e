// error: the one exception type, and places in YAML files for it to point at.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace graph {

/// Where a value was written. Line and column count from 1; line 0 means that the file has no lines to
/// speak of (a missing file, or `--set`), and then `file` stands alone.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;

  /// "file:line:column", or "file".
  std::string text() const;
};

/// One thing that is wrong, and where.
struct Problem {
  Place place;
  std::string text;
};

/// The only exception that leaves this project's code on purpose. It carries one problem or, from a check
/// that goes on to the end, all of them; what() is one line for each.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& text);
  Error(Place place, std::string text);
  explicit Error(std::vector<Problem> problems);

  const std::vector<Problem>& problems() const { return problems_; }

 private:
  std::vector<Problem> problems_;
};

/// Throws Error(text) unless `condition` holds. For the contracts that stages keep at run time.
inline void require(bool condition, const char* text) {
  if (!condition) throw Error(text);
}

/// "; did you mean 'x'?" for the candidate nearest to `word`, or "" when none is near.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

/// "a, b, c".
std::string join(const std::vector<std::string>& words, const char* separator = ", ");

}  // namespace graph
