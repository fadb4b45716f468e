// layers: reading, laying over and overriding.
#include "graph/layers.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "graph/plugin.h"

namespace graph {
namespace {

namespace fs = std::filesystem;

// The keys of a stage that are the engine's own.
bool is_wiring(const std::string& key) { return key == "type" || key == "from" || key == "in_flight"; }

// An edge, as against a map from port to edge.
bool is_edge(const Value& from) { return !from.is_map() || from.find("stage") != nullptr; }

bool knows(const StageType& type, const std::string& key) {
  return is_wiring(key) || std::ranges::find(type.parameters, key, &Parameter::name) != type.parameters.end();
}

// As Value::set, and the key's place is the newcomer's.
void lay_entry(Value& below, const Entry& above) {
  const auto old = std::ranges::find(below.entries, above.key, &Entry::key);
  if (old == below.entries.end())
    below.entries.push_back(above);
  else
    *old = above;
}

void lay_map(Value& below, const Value& above) {
  for (const auto& entry : above.entries) lay_entry(below, entry);
}

void lay_stage(const std::string& name, Value& below, const Value& above, std::vector<std::string>& notes) {
  const auto* old_type = below.find("type");
  const auto* new_type = above.find("type");
  if (old_type && new_type && old_type->scalar != new_type->scalar) {
    const auto known = stage_types().find(new_type->scalar);
    if (known != stage_types().end()) {
      auto entries = below.entries;
      for (const auto& entry : entries) {
        if (knows(known->second, entry.key)) continue;
        notes.push_back(new_type->place.text() + ": stage '" + name + "' is now '" + new_type->scalar +
                        "', which has no '" + entry.key + "'; the value from " + entry.place.text() +
                        " is dropped");
        below.erase(entry.key);
      }
    }
  }
  const auto* above_from = above.find("from");
  auto* below_from = below.find("from");
  const bool by_port = above_from && below_from && !is_edge(*above_from) && !is_edge(*below_from);
  Value from;
  if (by_port) {
    from = *below_from;
    lay_map(from, *above_from);
  }
  lay_map(below, above);
  if (by_port) below.set("from", std::move(from));
}

void lay_over(Value& below, const Value& above, std::vector<std::string>& notes) {
  for (const auto& entry : above.entries) {
    auto* old = below.find(entry.key);
    // When to stop is one decision: minutes from one layer do not go on beside steps from another.
    if (!old || !old->is_map() || !entry.value.is_map() || entry.key == "stop") {
      lay_entry(below, entry);
    } else if (entry.key == "stages") {
      for (const auto& stage : entry.value.entries) {
        auto* old_stage = old->find(stage.key);
        if (old_stage && old_stage->is_map() && stage.value.is_map()) {
          lay_stage(stage.key, *old_stage, stage.value, notes);
        } else {
          lay_entry(*old, stage);
        }
      }
    } else {
      lay_map(*old, entry.value);
    }
  }
}

void check_layer(const Value& value) {
  if (!value.is_map()) throw Error(value.place, "expected a map with 'stages:', got " + value.describe());
  if (const auto* stages = value.find("stages"); stages && !stages->is_map())
    throw Error(stages->place, "'stages' must be a map from name to stage, got " + stages->describe());
}

void check_config(const Value& value) {
  check_layer(value);
  for (const auto* key : {"configs", "headless", "plugins"})
    if (const auto* found = value.find(key))
      throw Error(found->place, "'" + std::string(key) +
                                    "' belongs to a pipeline's top level, not into what is laid over it");
}

Value read_config(const fs::path& path) {
  auto value = read_yaml(path, path.generic_string());
  check_config(value);
  return value;
}

// weakly_canonical() alone leaves a path relative when nothing of it exists.
fs::path real_path(const fs::path& path, std::error_code& code) {
  const auto full = fs::absolute(path, code);
  return code ? full : fs::weakly_canonical(full, code);
}

// The project: the nearest folder above the file that holds a folder `pipelines`, or the file's own folder.
fs::path project_of(const fs::path& file) {
  std::error_code code;
  auto own = real_path(file, code).parent_path();
  for (auto folder = own; folder.has_relative_path(); folder = folder.parent_path())
    if (fs::is_directory(folder / "pipelines", code)) return folder;
  return own;
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  const auto relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

std::vector<Value> included(const Value& root, const fs::path& file) {
  std::vector<Value> layers;
  const auto* configs = root.find("configs");
  if (!configs) return layers;
  if (!configs->is_list())
    throw Error(configs->place, "'configs' must be a list of files, got " + configs->describe());
  const auto project = project_of(file);
  std::vector<Problem> problems;
  for (const auto& item : configs->items) {
    if (!item.is_scalar()) {
      problems.push_back({item.place, "expected a file name, got " + item.describe()});
      continue;
    }
    const auto path = file.parent_path() / item.scalar;
    std::error_code code;
    const auto real = real_path(path, code);
    if (code) {
      problems.push_back({item.place, "config '" + item.scalar + "': " + code.message()});
    } else if (!is_inside(real, project)) {
      problems.push_back({item.place, "config '" + item.scalar + "' lies outside the project (" +
                                          project.generic_string() + "); move it inside"});
    } else if (!fs::is_regular_file(real, code)) {
      problems.push_back({item.place, "config '" + item.scalar +
                                          "': " + (fs::exists(real, code) ? "not a file" : "no such file")});
    } else {
      try {
        layers.push_back(read_config(path.lexically_normal()));
      } catch (const Error& error) {
        problems.insert(problems.end(), error.problems().begin(), error.problems().end());
      }
    }
  }
  if (!problems.empty()) throw Error(std::move(problems));
  return layers;
}

void place_all(Value& value, const Place& place) {
  value.place = place;
  for (auto& item : value.items) place_all(item, place);
  for (auto& entry : value.entries) {
    entry.place = place;
    place_all(entry.value, place);
  }
}

constexpr std::string_view plugins_override = "plugins=";

// Loads the plugins of the last --set that names some, or else the file's. Before anything is laid over, since that
// may name their stages.
void take_plugins(Value& merged, const Request& request) {
  const auto set = std::ranges::find_if(request.overrides.rbegin(), request.overrides.rend(),
                                        [](const auto& text) { return text.starts_with(plugins_override); });
  if (set != request.overrides.rend())
    merged.set("plugins", load_plugins(parse_override(set->substr(plugins_override.size()),
                                                      Place{"--set " + *set, 0, 0})));
  else if (const auto* listed = merged.find("plugins"))
    merged.set("plugins", load_plugins(*listed, request.file.parent_path()));
}

// "noise.std=0.8" as a layer of its own.
Value override_layer(const std::string& text, const Value& merged) {
  const Place place{"--set " + text, 0, 0};
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw Error(place, "expected stage.key=value, for example noise.std=0.8");
  std::vector<std::string> path;
  for (std::size_t at = 0; at <= equals;) {
    const auto dot = std::min(text.find('.', at), equals);
    path.push_back(text.substr(at, dot - at));
    at = dot + 1;
  }
  auto value = parse_override(text.substr(equals + 1), place);
  for (auto key = path.rbegin(); key != path.rend(); ++key) {
    Value map;
    map.kind = Value::Kind::map;
    map.set(*key, std::move(value));
    value = std::move(map);
  }
  const auto* stages = merged.find("stages");
  if (stages && stages->find(path[0])) {
    Value map;
    map.kind = Value::Kind::map;
    map.set("stages", std::move(value));
    value = std::move(map);
  } else if (path.size() > 1 && path[0] != "stop" && !blocks().contains(path[0])) {
    std::vector<std::string> names{"stop"};
    for (const auto& block : blocks()) names.push_back(block.first);
    if (stages)
      for (const auto& stage : stages->entries) names.push_back(stage.key);
    throw Error(place, "no stage or block '" + path[0] + "'" + did_you_mean(path[0], names));
  }
  place_all(value, place);
  return value;
}

}  // namespace

Value parse_override(const std::string& text, const Place& place) {
  Value value;
  if (!text.empty()) {
    try {
      value = parse_yaml(text, place.file);
    } catch (const Error& error) {
      auto problems = error.problems();
      for (auto& problem : problems) problem.place = place;
      throw Error(std::move(problems));
    }
  }
  place_all(value, place);
  return value;
}

Value merge_layers(const Request& request, std::vector<std::string>& notes) {
  auto merged = read_yaml(request.file, request.file.generic_string());
  check_layer(merged);
  take_plugins(merged, request);
  const auto configs = included(merged, request.file);
  merged.erase("configs");
  Value headless;
  if (const auto* block = merged.find("headless")) {
    headless = *block;
    check_config(headless);
  }
  merged.erase("headless");
  for (const auto& config : configs) lay_over(merged, config, notes);
  if (request.headless && !headless.is_map())
    throw Error(merged.place, "no 'headless:' block, so --headless means nothing here; take it out");
  if (request.headless) {
    std::vector<std::string> foreseen;  // who wrote both forms in one file knows what differs
    lay_over(merged, headless, foreseen);
  }
  std::vector<Problem> problems;
  const auto lay = [&](const auto& make_layer) {
    try {
      lay_over(merged, make_layer(), notes);
    } catch (const Error& error) {
      problems.insert(problems.end(), error.problems().begin(), error.problems().end());
    }
  };
  for (const auto& path : request.configs) lay([&] { return read_config(path); });
  for (const auto& text : request.overrides)
    if (!text.starts_with(plugins_override)) lay([&] { return override_layer(text, merged); });
  if (!problems.empty()) throw Error(std::move(problems));
  if (request.expand) request.expand(merged);
  return merged;
}

bool has_headless(const std::filesystem::path& file) {
  return read_yaml(file, file.generic_string()).find("headless") != nullptr;
}

}  // namespace graph
