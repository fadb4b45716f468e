// run: the one binary; picks a verb, and turns every error into one clear line and an exit code.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "graph/error.h"
#include "stages/model/threads.h"
#include "tools/verbs.h"

namespace {

constexpr const char* usage_hint =
    "A pipeline file runs: ./run pipelines/train.yaml [CONFIG…] [--set stage.key=value …]\n"
    "A run's folder goes on where it ended: ./run experiments/NAME [--set stop.steps=N]\n"
    "`./run pipeline --help` lists the options of a run.";

int run(std::vector<std::string> arguments) {
  CLI::App app("worldline trains and plays small interactive world models.", "./run");
  app.footer(usage_hint);
  app.set_version_flag("--version", "worldline " WORLDLINE_VERSION);
  app.require_subcommand(1);
  tools::Verb chosen;
  tools::add_pipeline(app, chosen);
  tools::add_check(app, chosen);
  tools::add_graph(app, chosen);
  tools::add_stages(app, chosen);
  tools::add_bench(app, chosen);
  tools::add_eval(app, chosen);
  tools::add_ablate(app, chosen);
  tools::add_convert(app, chosen);
  tools::add_average(app, chosen);
  tools::add_inspect(app, chosen);
  tools::add_verify(app, chosen);
  tools::add_schedule(app, chosen);
  tools::add_tap(app, chosen);
  tools::add_act(app, chosen);
  tools::add_watch(app, chosen);
  tools::add_record(app, chosen);
  tools::add_replay(app, chosen);
  tools::add_keys(app, chosen);

  // A file stands without a verb.
  const auto verbs = app.get_subcommands([](const CLI::App*) { return true; });
  const auto is_verb = [&](const CLI::App* verb) { return verb->get_name() == arguments[0]; };
  const std::vector<std::string> own{"--help", "-h", "--version"};
  if (!arguments.empty() && std::ranges::none_of(verbs, is_verb) &&
      std::ranges::find(own, arguments[0]) == own.end())
    arguments.insert(arguments.begin(), tools::pipeline_verb);
  try {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::cerr << "run: " << error.what() << "\n(./run --help)\n";
    return 2;
  }
  return chosen();
}

}  // namespace

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("worldline"));
  // On a terminal a progress line may stand where a log line comes.
  spdlog::set_pattern(isatty(STDERR_FILENO) ? "\r\033[K%^%v%$" : "%v");
  try {
    model::keep_memory();
    model::use_one_thread_per_call();
    return run({argv + 1, argv + argc});
  } catch (const graph::Error& error) {
    std::cerr << error.what() << '\n';
    return 2;
  } catch (const std::exception& error) {
    // libtorch puts a backtrace behind its first line.
    const std::string text = error.what();
    std::cerr << "run: " << text.substr(0, text.find('\n')) << '\n';
    return 1;
  }
}
