// verbs: what `run` can be asked for. Each adds its options to a subcommand and runs when it was chosen.
//
// A verb returns the process's exit code: 0 done, 1 the run failed. What is wrong with pipelines, configs and
// options throws graph::Error or CLI::ParseError before anything starts, and ends with 2.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace tools {

/// What a chosen verb does.
using Verb = std::function<int()>;

/// Adds the verb's subcommand to `app`; the callback sets `chosen`.
void add_pipeline(CLI::App& app, Verb& chosen);  // `run FILE`, which stands without a verb's name
void add_check(CLI::App& app, Verb& chosen);
void add_graph(CLI::App& app, Verb& chosen);
void add_stages(CLI::App& app, Verb& chosen);
void add_bench(CLI::App& app, Verb& chosen);
void add_eval(CLI::App& app, Verb& chosen);
void add_ablate(CLI::App& app, Verb& chosen);
void add_convert(CLI::App& app, Verb& chosen);
void add_average(CLI::App& app, Verb& chosen);
void add_inspect(CLI::App& app, Verb& chosen);
void add_verify(CLI::App& app, Verb& chosen);
void add_schedule(CLI::App& app, Verb& chosen);
void add_tap(CLI::App& app, Verb& chosen);
void add_act(CLI::App& app, Verb& chosen);
void add_watch(CLI::App& app, Verb& chosen);
void add_record(CLI::App& app, Verb& chosen);
void add_replay(CLI::App& app, Verb& chosen);
void add_keys(CLI::App& app, Verb& chosen);

/// The subcommand that stands for a pipeline file given without a verb.
inline constexpr const char* pipeline_verb = "pipeline";

}  // namespace tools
