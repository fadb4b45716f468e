// value: a strict decoder on yaml-cpp's parser events.
#include "graph/value.h"

#include <yaml-cpp/yaml.h>

// yaml-cpp's umbrella header leaves out the event interface.
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <unordered_map>
#include <utility>

namespace graph {
namespace {

// Generous for a pipeline; yaml-cpp takes a time that grows with the square of some hostile files.
constexpr std::size_t largest_file = 1 << 17;  // bytes
constexpr std::size_t deepest = 32;

class Reader : public YAML::EventHandler {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { leaf(mark, Value::Kind::null, ""); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    problem(mark, "aliases (*name) are not supported; write the value out");
    leaf(mark, Value::Kind::null, "");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    check(mark, tag, anchor);
    leaf(mark, Value::Kind::scalar, text);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check(mark, tag, anchor);
    open(mark, Value::Kind::list);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check(mark, tag, anchor);
    open(mark, Value::Kind::map);
  }
  void OnMapEnd() override { close(); }

  Place place(const YAML::Mark& mark) const { return {file_, mark.line + 1, mark.column + 1}; }

  Value root;
  std::vector<Problem> problems;

 private:
  struct Open {
    Value value;
    bool has_key = false;
    Entry pending{};
    std::unordered_map<std::string, int> lines{};  // of the keys so far
  };

  void problem(const YAML::Mark& mark, std::string text) {
    problems.push_back({place(mark), std::move(text)});
  }

  void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) problem(mark, "anchors (&name) are not supported; write the value out");
    // yaml-cpp's own marks: "?" for a plain node, "!" for a quoted scalar.
    if (!tag.empty() && tag != "?" && tag != "!") problem(mark, "tags (" + tag + ") are not supported");
  }

  void leaf(const YAML::Mark& mark, Value::Kind kind, const std::string& text) {
    Value value;
    value.kind = kind;
    value.scalar = text;
    value.place = place(mark);
    take(std::move(value));
  }

  void open(const YAML::Mark& mark, Value::Kind kind) {
    if (stack_.size() >= deepest)
      throw Error(place(mark), "nested deeper than " + std::to_string(deepest) + " levels");
    Open opened;
    opened.value.kind = kind;
    opened.value.place = place(mark);
    stack_.push_back(std::move(opened));
  }

  void close() {
    auto value = std::move(stack_.back().value);
    stack_.pop_back();
    take(std::move(value));
  }

  void take(Value value) {
    if (stack_.empty()) {
      root = std::move(value);
      return;
    }
    auto& top = stack_.back();
    if (top.value.is_list()) {
      top.value.items.push_back(std::move(value));
      return;
    }
    if (!top.has_key) {
      if (!value.is_scalar())
        problems.push_back({value.place, "a key must be a word, not " + value.describe()});
      top.pending = {value.scalar, value.place, {}};
      top.has_key = true;
      return;
    }
    top.has_key = false;
    const auto& key = top.pending;
    if (key.key == "<<") {
      problems.push_back({key.place, "merge keys (<<) are not supported; write the values out"});
    } else if (const auto [first, is_new] = top.lines.emplace(key.key, key.place.line); !is_new) {
      problems.push_back({key.place, "duplicate key '" + key.key + "'; it stands already in line " +
                                         std::to_string(first->second)});
    } else {
      top.pending.value = std::move(value);
      top.value.entries.push_back(std::move(top.pending));
    }
  }

  std::string file_;
  std::vector<Open> stack_;
};

// The first byte that cannot stand in a YAML text, or npos.
std::size_t first_bad_byte(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    std::size_t length = 0;
    if (byte < 0x80) {
      if (byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t') return i;
      length = 1;
    } else if ((byte & 0xE0) == 0xC0) {
      length = 2;
    } else if ((byte & 0xF0) == 0xE0) {
      length = 3;
    } else if ((byte & 0xF8) == 0xF0) {
      length = 4;
    } else {
      return i;
    }
    if (i + length > text.size()) return i;
    for (std::size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return i;
    i += length;
  }
  return std::string::npos;
}

// yaml-cpp's words say what its parser missed; these say what to look for.
std::string syntax_error(const std::string& text, const YAML::Exception& error) {
  std::istringstream lines(text);
  std::string line;
  for (int i = 0; i <= error.mark.line; ++i) std::getline(lines, line);
  if (line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string::npos)
    return "indented with a tab; YAML takes spaces only";
  if (error.msg == YAML::ErrorMsg::END_OF_MAP) return "indentation that fits nothing above it";
  if (error.msg == YAML::ErrorMsg::END_OF_MAP_FLOW) return "a '{' or a quote before this is not closed";
  if (error.msg == YAML::ErrorMsg::END_OF_SEQ_FLOW) return "a '[' or a quote before this is not closed";
  return error.msg;
}

Place place_of(const std::string& text, std::size_t at, const std::string& file) {
  const auto begin = text.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(at);
  const auto line = static_cast<int>(std::count(begin, end, '\n')) + 1;
  const auto start = text.rfind('\n', at == 0 ? 0 : at - 1);
  const auto column = (start == std::string::npos || line == 1) ? at + 1 : at - start;
  return {file, line, static_cast<int>(column)};
}

void emit(YAML::Emitter& out, const Value& value, int depth) {
  switch (value.kind) {
    case Value::Kind::null:
      out << YAML::Null;
      break;
    case Value::Kind::scalar:
      // The emitter leaves text plain that reads back as null.
      if (value.scalar.empty() || value.scalar == "~" || value.scalar == "null") out << YAML::DoubleQuoted;
      out << value.scalar;
      break;
    case Value::Kind::list:
      out << YAML::Flow << YAML::BeginSeq;
      for (const auto& item : value.items) emit(out, item, depth + 1);
      out << YAML::EndSeq;
      break;
    case Value::Kind::map:
      if (depth > 1) out << YAML::Flow;
      out << YAML::BeginMap;
      for (const auto& entry : value.entries) {
        out << YAML::Key << entry.key << YAML::Value;
        emit(out, entry.value, depth + 1);
      }
      out << YAML::EndMap;
      break;
  }
}

}  // namespace

const Value* Value::find(const std::string& key) const {
  for (const auto& entry : entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

Value* Value::find(const std::string& key) {
  return const_cast<Value*>(static_cast<const Value*>(this)->find(key));
}

void Value::set(const std::string& key, Value value) {
  if (auto* old = find(key)) {
    *old = std::move(value);
    return;
  }
  auto where = value.place;
  entries.push_back({key, std::move(where), std::move(value)});
}

void Value::erase(const std::string& key) {
  std::erase_if(entries, [&](const Entry& entry) { return entry.key == key; });
}

std::string Value::describe() const {
  switch (kind) {
    case Kind::null:
      return "nothing";
    case Kind::scalar:
      return "'" + (scalar.size() > 60 ? scalar.substr(0, 60) + "…" : scalar) + "'";
    case Kind::list:
      return "a list";
    case Kind::map:
      return "a map";
  }
  return "";
}

Value parse_yaml(const std::string& text, const std::string& file) {
  if (const auto bad = first_bad_byte(text); bad != std::string::npos)
    throw Error(place_of(text, bad, file),
                "not a text file: byte " + std::to_string(bad) + " is not UTF-8 text");
  Reader reader(file);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(reader)) throw Error(Place{file, 1, 1}, "empty file; expected a map");
    Reader next(file);
    if (parser.HandleNextDocument(next))
      reader.problems.push_back(
          {next.root.place, "a second document (---); one file holds one, so put it in a file of its own"});
  } catch (const YAML::Exception& error) {
    if (error.mark.is_null()) throw Error(Place{file, 1, 1}, error.msg);
    throw Error(reader.place(error.mark), syntax_error(text, error));
  }
  if (!reader.problems.empty()) throw Error(std::move(reader.problems));
  return std::move(reader.root);
}

Value read_yaml(const std::filesystem::path& path, const std::string& shown) {
  std::error_code code;
  const Place start{shown, 0, 0};
  const auto status = std::filesystem::status(path, code);
  if (status.type() == std::filesystem::file_type::not_found) throw Error(start, "no such file");
  if (code) throw Error(start, "cannot be read: " + code.message());
  // Reading from a pipe or a device might never end.
  if (status.type() != std::filesystem::file_type::regular) throw Error(start, "not a file");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw Error(start, "cannot be opened for reading");
  std::string text(largest_file + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) throw Error(start, "cannot be read");
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > largest_file)
    throw Error(start,
                "too large; a pipeline or config has at most " + std::to_string(largest_file) + " bytes");
  return parse_yaml(text, shown);
}

std::string to_yaml(const Value& value) {
  YAML::Emitter out;
  emit(out, value, 0);
  return std::string(out.c_str()) + "\n";
}

}  // namespace graph
