// actions: what actions are called in YAML.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace stages {

/// The number of an action by its name (none, stay, up, down) or itself ("7"). Throws graph::Error.
std::int64_t action_of(const std::string& word);

/// "up"; the number itself for those without a name.
std::string action_name(std::int64_t action);

/// An action that is held for some frames.
struct Hold {
  std::uint64_t frames;
  std::int64_t action;
};

/// The parts of "30 stay, 60 up". Throws graph::Error.
std::vector<Hold> script_of(const std::string& text);

}  // namespace stages
