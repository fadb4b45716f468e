// request: the options by which several verbs name a pipeline.
#pragma once

#include <CLI/CLI.hpp>

#include "graph/pipeline.h"

namespace tools {

/// Adds FILE, CONFIG… and --set to a subcommand; the request outlives the parsing.
void add_request(CLI::App& command, graph::Request& request);

}  // namespace tools
