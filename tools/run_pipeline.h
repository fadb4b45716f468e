// run_pipeline: a pipeline from its start to its end, for the verbs that run one.
#pragma once

#include <filesystem>
#include <string>

#include "graph/engine.h"

namespace tools {

struct Ran {
  int code = 0;  // 0 done, 1 the run failed
  graph::Telemetry telemetry;
};

/// Runs it on the calling thread. The first Ctrl-C ends it in order. What a person should know is logged: the notes of
/// the merge, warnings, the failure, what edges dropped.
Ran run_pipeline(const graph::Pipeline& pipeline, graph::RunOptions options);

/// A file of this project, by its path from the project's root: of the checkout that this binary was built in, or,
/// where there is none, below the current folder.
std::filesystem::path project_file(const std::string& path);

}  // namespace tools
