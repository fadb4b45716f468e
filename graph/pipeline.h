// pipeline: YAML files and overrides become one checked plan of stages and edges.
//
// Precedence: defaults < the pipeline file < its `configs:` < configs given by the caller < overrides.
// Nothing here starts anything: no hook runs, no file is opened but the YAML and the plugins that it names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/inbox.h"
#include "graph/stage_type.h"
#include "graph/value.h"

namespace graph {

struct EdgePlan {
  std::size_t from = 0, output = 0;  // stage and its output port, by index
  std::size_t to = 0, input = 0;
  WhenFull when_full = WhenFull::wait;
  std::size_t capacity = 0;
  int feedback = 0;  // tokens that start() sends; 0 is an ordinary edge
  Place place;
};

struct StagePlan {
  std::string name;
  const StageType* type = nullptr;
  std::shared_ptr<void> params;  // decoded; the engine copies it into the stage
  int in_flight = 0;             // slots of a source, or of a stage behind a dropping edge; 0 for others
  Place place;
};

struct Stop {
  std::optional<std::uint64_t> steps;
  std::optional<double> minutes;
};

/// A pipeline in which everything is known to fit.
struct Pipeline {
  std::string file;
  std::vector<StagePlan> stages;  // upstream first
  std::vector<EdgePlan> edges;
  Stop stop;
  Value merged;                    // all layers and defaults in one; to_yaml() of it runs as it is
  std::vector<std::string> notes;  // what a person should know of the merge, a line each

  bool writes() const;   // some stage writes into the run's folder
  bool resumes() const;  // some stage writes there what the run can go on from
};

/// What to load.
struct Request {
  std::filesystem::path file;
  std::vector<std::filesystem::path> configs;
  std::vector<std::string> overrides;  // "stage.key=value", "stop.steps=10", "seed=3", "plugins=[FILE]"
  bool headless = false;               // lay the pipeline's `headless:` block over it
  std::function<void(Value& merged)> expand;  // turns top-level shorthands of the program into stages
};

/// Reads, merges and checks. Throws Error with every problem that was found.
Pipeline load(const Request& request);

/// Whether the pipeline file has a `headless:` block, and so another form without a display.
bool has_headless(const std::filesystem::path& file);

/// "wait", "latest", …
const char* to_text(WhenFull when_full);

}  // namespace graph
