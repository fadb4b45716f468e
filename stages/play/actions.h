// actions: what actions are called in YAML.
#pragma once

#include <cstdint>
#include <string>

namespace stages {

/// The number of an action by its name (none, stay, up, down) or itself ("7"). Throws graph::Error.
std::int64_t action_of(const std::string& word);

/// "up"; the number itself for those without a name.
std::string action_name(std::int64_t action);

}  // namespace stages
