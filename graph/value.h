// value: YAML read strictly, every node remembering where it was written.
//
// yaml-cpp takes duplicate keys, leaves `<<` merges as they are, expands aliases without a limit and stops
// after the first document. This reader refuses all of that, so a file means what it says.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "graph/error.h"

namespace graph {

struct Entry;

/// A YAML node.
struct Value {
  enum class Kind { null, scalar, list, map };

  Kind kind = Kind::null;
  std::string scalar;          // text of a scalar, unquoted
  std::vector<Value> items;    // of a list
  std::vector<Entry> entries;  // of a map, in file order, keys unique
  Place place;

  bool is_map() const { return kind == Kind::map; }
  bool is_list() const { return kind == Kind::list; }
  bool is_scalar() const { return kind == Kind::scalar; }

  /// The value under `key` of a map, or nullptr.
  const Value* find(const std::string& key) const;
  Value* find(const std::string& key);

  /// Puts `value` under `key` of a map, replacing what was there.
  void set(const std::string& key, Value value);

  /// Takes `key` out of a map.
  void erase(const std::string& key);

  /// "a map", "a list", "nothing" or "'text'", for messages.
  std::string describe() const;
};

struct Entry {
  std::string key;
  Place place;  // of the key
  Value value;
};

/// Reads one YAML document. Throws Error with every duplicate or merge key, alias, tag and further document
/// in it, or with the first syntax error. `file` is used in places only.
Value parse_yaml(const std::string& text, const std::string& file);

/// parse_yaml on a file's content; a missing, unreadable, empty, binary or oversized (over 128 KB) file is an
/// Error. `shown` is how places name the file.
Value read_yaml(const std::filesystem::path& path, const std::string& shown);

/// YAML text that parse_yaml reads back to the same value. Maps of depth 0 and 1 are written as blocks,
/// deeper ones on one line.
std::string to_yaml(const Value& value);

}  // namespace graph
