// request: options of a pipeline, and of who connects.
#include "tools/request.h"

#include <nlohmann/json.hpp>

#include "graph/parameter.h"
#include "graph/plugin.h"
#include "stages/settings.h"
#include "tools/taps.h"

namespace tools {

void add_request(CLI::App& command, graph::Request& request) {
  request.expand = expand_taps;
  command.add_option("file", request.file, "the pipeline, for example pipelines/train.yaml")->required();
  command.add_option("configs", request.configs, "configs laid over it; later ones win");
  add_overrides(command, request);
}

void add_overrides(CLI::App& command, graph::Request& request) {
  command
      .add_option("--set", request.overrides,
                  "stage.key=value, or block.key=value; wins over all files; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

void add_plugins(CLI::App& command, std::vector<std::string>& plugins) {
  command.add_option("--plugin", plugins, "a shared object with more stage types; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
}

void load_plugins(const std::vector<std::string>& plugins) {
  graph::load_plugins(graph::Codec<std::vector<std::string>>::encode(plugins));
}

void take_model(const std::filesystem::path& config, graph::Request& request) {
  std::vector<std::string> keys;
  const auto json = nlohmann::ordered_json::parse(stages::read_model(config).to_json());
  for (const auto& [key, value] : json.items()) keys.push_back("model." + key + "=" + value.dump());
  request.overrides.insert(request.overrides.begin(), keys.begin(), keys.end());
}

void add_connect_keys(CLI::App& command, stages::ConnectKeys& keys) {
  auto* key =
      command.add_option("--key", keys.key, "a file with one's own secret key, where keys are asked for");
  auto* server = command.add_option("--server", keys.server, "a file with the other's public key");
  key->needs(server);
  server->needs(key);
}

}  // namespace tools
