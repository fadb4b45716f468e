// bench_game: pipelines/serve.yaml, with random weights.
#include "tools/bench_game.h"

#include <nlohmann/json.hpp>

#include "graph/pipeline.h"
#include "stages/model/mmdit.h"
#include "stages/model/weights_file.h"
#include "tools/run_pipeline.h"
#include "tools/taps.h"

namespace tools {

void save_random_weights(const std::filesystem::path& path, model::Config config) {
  config.init = "reference";
  model::save(path, config, model::Mmdit(config).initialise(0));
}

namespace {

graph::Pipeline pipeline_of(const GameSetup& setup, const std::filesystem::path& weights) {
  save_random_weights(weights, setup.model);
  graph::Request request{
      .file = project_file("pipelines/serve.yaml"), .overrides = setup.overrides, .expand = expand_taps};
  // JSON's quoted text is YAML's too.
  const auto set = [&](const std::string& key, const nlohmann::json& value) {
    request.overrides.push_back(key + "=" + value.dump());
  };
  set("endpoint", setup.taps);
  set("control.endpoint", setup.control);
  set("denoise.checkpoint", weights.string());
  set("primed.frames", setup.model.n_window);
  set("primed.height", setup.model.height);
  set("primed.width", setup.model.width);
  return graph::load(request);
}

}  // namespace

// Publisher and server are here before the stages that share them: so it is known which port was free.
BenchGame::BenchGame(const GameSetup& setup)
    : publisher_(stages::publish_at(setup.taps, {})),
      server_(stages::serve_at(setup.control, {}, stages::largest_command)),
      run_(pipeline_of(setup, folder_ / "weights.safetensors"), "frames", "frame") {}

}  // namespace tools
