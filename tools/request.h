// request: the options by which several verbs name a pipeline.
#pragma once

#include <CLI/CLI.hpp>

#include "graph/pipeline.h"

namespace tools {

/// For an option that names a file: why an empty text does not.
inline std::string not_empty(const std::string& text) {
  return text.empty() ? "is empty; expected a file" : "";
}

/// Adds FILE, CONFIG… and --set to a subcommand; the request outlives the parsing.
void add_request(CLI::App& command, graph::Request& request);

}  // namespace tools
