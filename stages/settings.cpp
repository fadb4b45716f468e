// settings: the `model:` block and the device.
#include "stages/settings.h"

#include <tbb/task_arena.h>
#include <torch/cuda.h>
#include <torch/types.h>

#include "graph/stage.h"
#include "graph/value.h"
#include "stages/model/config.h"
#include "stages/model/text_file.h"

namespace stages {
namespace {

using model::Config;

const bool registered = graph::add_block(
    "model", "sizes and choices of the network; a checkpoint carries its own",
    graph::Schema<Config>()
        .param("n_window", &Config::n_window, "frames a token may see, its own included")
        .param("patch_size", &Config::patch_size, "pixels along a side of a patch")
        .param("n_heads", &Config::n_heads, "attention heads")
        .param("d_model", &Config::d_model, "width of a token")
        .param("n_blocks", &Config::n_blocks, "transformer blocks")
        .param("C", &Config::C, "base of the rotary frequencies")
        .param("rope_type", &Config::rope_type, "positions", graph::one_of({"rope", "vid", "learn"}))
        .param("bidirectional", &Config::bidirectional, "frames see later frames too")
        .param("height", &Config::height, "of a frame, in pixels")
        .param("width", &Config::width, "of a frame, in pixels")
        .param("T", &Config::T, "noise levels that the embedding tells apart")
        .param("in_channels", &Config::in_channels, "colours of a pixel")
        .param("n_registers", &Config::n_registers, "extra tokens in every frame")
        .param("n_actions", &Config::n_actions, "actions, 0 (none) included")
        .param("n_past_actions", &Config::n_past_actions,
               "frames before its own whose actions a frame is told, too; below n_window")
        .param("expansion", &Config::expansion, "hidden width of the feed-forward layer, in d_model")
        .param("stem", &Config::stem, "how patches become tokens", graph::one_of({"conv", "linear"}))
        .param("predicts", &Config::predicts, "what the network predicts",
               graph::one_of({"velocity", "data"}))
        .param("init", &Config::init, "how fresh weights are drawn",
               graph::one_of({"reference", "zero_gates"}))
        .param("background", &Config::background,
               "how bytes become numbers: x/127.5 - 1 throughout, or with the background's colour at 0",
               graph::one_of({"linear", "zero"})),
    std::function<void(const Config&)>([](const Config& config) { config.check(); }));

}  // namespace

at::Device device_of(const std::string& name) {
  const bool cuda = torch::cuda::is_available();
  if (name == "cuda" && !cuda)
    throw graph::Error("device 'cuda': this libtorch sees no GPU; use device: cpu or a libtorch with CUDA");
  return at::Device(cuda && name != "cpu" ? at::kCUDA : at::kCPU);
}

int workers_of(at::Device device) { return device.is_cuda() ? 1 : tbb::task_arena::automatic; }

model::Config read_model(const std::filesystem::path& path) {
  const auto shown = path.generic_string();
  Config config;
  // The reference knows no other, and this is how its checkpoints are named.
  config.background = "zero";
  try {
    if (path.extension() == ".json") return Config::from_json(model::read_text(path), config);
    const auto file = graph::read_yaml(path, shown);
    const auto* given = file.find("model");
    if (!given || !given->is_map()) throw graph::Error(shown + ": no `model:` block in it");
    std::vector<graph::Problem> problems;
    graph::decode(graph::blocks().at("model").parameters, {}, &config, *given, "block 'model'", problems);
    if (!problems.empty()) throw graph::Error(std::move(problems));
    config.check();
    return config;
  } catch (const graph::Error&) {
    throw;
  } catch (const std::exception& error) {
    const std::string text = error.what();
    throw graph::Error(text.starts_with(shown) ? text : shown + ": " + text);
  }
}

}  // namespace stages
