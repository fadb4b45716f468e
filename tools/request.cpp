// request: options of a pipeline.
#include "tools/request.h"

#include <cstdlib>

namespace tools {

void add_request(CLI::App& command, graph::Request& request) {
  command.add_option("file", request.file, "the pipeline, for example pipelines/train.yaml")->required();
  command.add_option("configs", request.configs, "configs laid over it; later ones win");
  command
      .add_option("--set", request.overrides,
                  "stage.key=value, or block.key=value; wins over all files; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

bool has_display() {
  const auto set = [](const char* name) { return std::getenv(name) && *std::getenv(name); };
  return set("DISPLAY") || set("WAYLAND_DISPLAY");
}

}  // namespace tools
