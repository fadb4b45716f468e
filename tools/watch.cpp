// watch: a window on a game that another process plays.
#include <memory>
#include <nlohmann/json.hpp>

#include "stages/play/display.h"
#include "tools/request.h"
#include "tools/run_pipeline.h"
#include "tools/verbs.h"

namespace tools {
namespace {

struct Options {
  std::string endpoint;
  std::int64_t session = -1;
  stages::ConnectKeys keys;
};

int watch(const Options& options) {
  if (!stages::has_display())
    throw graph::Error("no display to open a window on; `./run record` writes a video, `./run tap` prints");
  graph::Request request{.file = project_file("pipelines/watch.yaml")};
  // JSON's quoted text is YAML's too.
  const auto set = [&](const std::string& key, const nlohmann::json& value) {
    request.overrides.push_back(key + "=" + value.dump());
  };
  set("endpoint", options.endpoint);
  set("key", options.keys.key);
  set("server", options.keys.server);
  set("frames.session", options.session);
  set("window.title", "worldline: " + options.endpoint);
  graph::RunOptions run_options;
  run_options.quiet = std::chrono::hours(24);  // to wait for a player is no standstill
  return run_pipeline(graph::load(request), run_options).code;
}

}  // namespace

void add_watch(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("watch", "a window on a game that another process plays");
  auto options = std::make_shared<Options>();
  command->add_option("endpoint", options->endpoint, "of its taps, as ipc://play")
      ->required()
      ->check(not_empty);
  command->add_option("--session", options->session, "of the player; else the first that is heard")
      ->check(CLI::NonNegativeNumber);
  add_connect_keys(*command, options->keys);
  command->callback([options, &chosen] { chosen = [options] { return watch(*options); }; });
}

}  // namespace tools
