// request: options of a pipeline.
#include "tools/request.h"

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

}  // namespace tools
