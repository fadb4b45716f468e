// parameter: what a stage's Params member is called, means and may be, said once.
//
// One declaration serves the YAML decoder, `run stages`, the JSON schema and live changes. Defaults are the
// member initialisers of the Params struct; nobody writes them twice.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "graph/value.h"

namespace graph {

/// What a number or a word may be.
struct Range {
  std::optional<double> low, high;
  bool low_open = false, high_open = false;  // open: the end itself is not allowed
  std::vector<std::string> choices;

  /// "above 0", "1 to 8", "auto | cpu | cuda", or "" for anything.
  std::string text() const;
};

inline Range above(double low) { return {.low = low, .low_open = true}; }
inline Range at_least(double low) { return {.low = low}; }
inline Range between(double low, double high) { return {.low = low, .high = high}; }
/// low to high, high itself not allowed.
inline Range half_open(double low, double high) { return {.low = low, .high = high, .high_open = true}; }
inline Range one_of(std::vector<std::string> choices) { return {.choices = std::move(choices)}; }

/// Text ↔ value for each type that a Params member can have: bool, integers, double, std::string, and
/// std::vector and std::map from text of these. decode() is strict: `010`, `yes`, `1e3` for an integer and
/// `.inf` are refused. Throws Error.
template <class T>
struct Codec;

template <>
struct Codec<bool> {
  static constexpr const char* type = "true | false";
  static bool decode(const Value& value);
  static Value encode(bool value);
};
template <>
struct Codec<std::int64_t> {
  static constexpr const char* type = "integer";
  static std::int64_t decode(const Value& value);
  static Value encode(std::int64_t value);
};
template <>
struct Codec<std::uint64_t> {
  static constexpr const char* type = "natural number";
  static std::uint64_t decode(const Value& value);
  static Value encode(std::uint64_t value);
};
template <>
struct Codec<double> {
  static constexpr const char* type = "number";
  static double decode(const Value& value);
  static Value encode(double value);
};
template <>
struct Codec<std::string> {
  static constexpr const char* type = "text";
  static std::string decode(const Value& value);
  static Value encode(const std::string& value);
};
template <>
struct Codec<int> {
  static constexpr const char* type = "integer";
  static int decode(const Value& value);
  static Value encode(int value) { return Codec<std::int64_t>::encode(value); }
};
template <class T>
struct Codec<std::vector<T>> {
  static constexpr const char* type = "list";
  static std::vector<T> decode(const Value& value) {
    if (!value.is_list()) throw Error(value.place, "expected a list, got " + value.describe());
    std::vector<T> list;
    for (const auto& item : value.items) list.push_back(Codec<T>::decode(item));
    return list;
  }
  static Value encode(const std::vector<T>& list) {
    Value value;
    value.kind = Value::Kind::list;
    for (const auto& item : list) value.items.push_back(Codec<T>::encode(item));
    return value;
  }
};

template <class T>
struct Codec<std::map<std::string, T>> {
  static constexpr const char* type = "map";
  static std::map<std::string, T> decode(const Value& value) {
    if (!value.is_map()) throw Error(value.place, "expected a map, got " + value.describe());
    std::map<std::string, T> map;
    for (const auto& entry : value.entries) map.emplace(entry.key, Codec<T>::decode(entry.value));
    return map;
  }
  static Value encode(const std::map<std::string, T>& map) {
    Value value;
    value.kind = Value::Kind::map;
    for (const auto& [key, item] : map) value.set(key, Codec<T>::encode(item));
    return value;
  }
};

/// Throws Error at `place` when `range` does not hold.
void check_range(const Range& range, double number, const Place& place);
void check_range(const Range& range, const std::string& word, const Place& place);

/// One declared member of a Params struct, with the struct's type erased to void*.
struct Parameter {
  std::string name;
  std::string type;
  std::string doc;
  std::string unit;
  Range range;
  bool live = false;                                // may change while the pipeline runs
  std::function<void(void*, const Value&)> decode;  // throws Error with the value's place
  std::function<Value(const void*)> encode;

  /// "std" as a person would write it in YAML.
  std::string text(const void* params) const;
};

/// The declared members of P, in order of declaration.
template <class P>
class Schema {
 public:
  template <class M, class Base>
  Schema& param(std::string name, M Base::*member, std::string doc, Range range = {}) {
    static_assert(std::is_base_of_v<Base, P>);
    Parameter parameter;
    parameter.name = std::move(name);
    parameter.type = Codec<M>::type;
    parameter.doc = std::move(doc);
    parameter.range = range;
    parameter.decode = [member, range](void* params, const Value& value) {
      auto decoded = Codec<M>::decode(value);
      if constexpr (std::is_arithmetic_v<M> && !std::is_same_v<M, bool>)
        check_range(range, static_cast<double>(decoded), value.place);
      if constexpr (std::is_same_v<M, std::string>) check_range(range, decoded, value.place);
      if constexpr (requires { check_items(range, decoded, value); }) check_items(range, decoded, value);
      static_cast<P*>(params)->*member = std::move(decoded);
    };
    parameter.encode = [member](const void* params) {
      return Codec<M>::encode(static_cast<const P*>(params)->*member);
    };
    parameters.push_back(std::move(parameter));
    return *this;
  }

  std::vector<Parameter> parameters;

 private:
  template <class T>
  static void check_items(const Range& range, const std::vector<T>& list, const Value& value) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      if constexpr (std::is_same_v<T, std::string>)
        check_range(range, list[i], value.items[i].place);
      else if constexpr (!std::is_same_v<T, bool>)
        check_range(range, static_cast<double>(list[i]), value.items[i].place);
    }
  }
};

/// A block of values at the top of a pipeline that several stages share: `model:`, or a single value such as
/// `seed:`. Declared once; stages refer to it by name with Stage::shared().
struct Block {
  std::string name;
  std::string summary;
  std::vector<Parameter> parameters;            // empty: the block is a single value
  std::function<std::shared_ptr<void>()> make;  // defaults, for `run stages`
  std::function<void(const void*)> check;       // throws what is wrong with the values together
};

/// Decodes the entries of `given` into `params`. Unknown keys (but for `reserved`) and bad values are added
/// to `problems`, each text starting with `who`.
void decode(const std::vector<Parameter>& parameters, const std::vector<std::string>& reserved, void* params,
            const Value& given, const std::string& who, std::vector<Problem>& problems);

}  // namespace graph
