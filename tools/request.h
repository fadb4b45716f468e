// request: options that several verbs have.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "graph/pipeline.h"
#include "stages/wire/endpoint.h"

namespace tools {

/// For an option that names a file: why an empty text does not.
inline std::string not_empty(const std::string& text) {
  return text.empty() ? "is empty; expected a file" : "";
}

/// Adds FILE, CONFIG… and --set to a subcommand; the request outlives the parsing.
void add_request(CLI::App& command, graph::Request& request);

/// Adds --set alone, for verbs that know their pipeline.
void add_overrides(CLI::App& command, graph::Request& request);

/// Adds --plugin, for verbs to which no pipeline names plugins.
void add_plugins(CLI::App& command, std::vector<std::string>& plugins);

/// Loads what --plugin has named. Throws graph::Error like graph::load_plugins().
void load_plugins(const std::vector<std::string>& plugins);

/// Lays the `model:` block of a config (or .json) below all overrides: what a Python checkpoint is for.
void take_model(const std::filesystem::path& config, graph::Request& request);

/// Adds --key and --server, for verbs that connect to another process; `keys` outlives the parsing.
void add_connect_keys(CLI::App& command, stages::ConnectKeys& keys);

}  // namespace tools
