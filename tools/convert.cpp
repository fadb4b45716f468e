// convert: makes a weights file, which says what it is, out of weights that do not.
#include <cstdio>
#include <memory>
#include <optional>

#include "graph/error.h"
#include "stages/find_checkpoint.h"
#include "stages/model/python_checkpoint.h"
#include "stages/model/torch_pickle.h"
#include "stages/model/weights_file.h"
#include "stages/settings.h"
#include "tools/request.h"
#include "tools/verbs.h"
#include "tools/weights_out.h"

namespace tools {
namespace {

struct Options {
  std::string in;
  std::filesystem::path out, config;
};

int convert(const Options& options) {
  const auto in = stages::find_checkpoint(options.in, "convert");
  require_weights_out(options.out, {in});
  std::optional<model::Config> config;
  if (!options.config.empty()) config = stages::read_model(options.config);
  if (!config && model::is_python(in))
    throw graph::Error(
        in.generic_string() +
        ": a Python checkpoint does not say what model it is for; name the config that it was trained "
        "with (--config FILE)");
  const auto file = model::load_weights(in, config);
  model::save(options.out, file.config, file.parameters, file.facts);
  std::printf("%s: %zu parameters, %lld numbers\n", options.out.c_str(), file.parameters.size(),
              static_cast<long long>(file.parameters.count()));
  return 0;
}

}  // namespace

void add_convert(CLI::App& app, Verb& chosen) {
  auto* command =
      app.add_subcommand("convert", "make a weights file out of a Python checkpoint or another file");
  auto options = std::make_shared<Options>();
  command->add_option("in", options->in, "model.pt, a .safetensors file, or a run folder for its newest")
      ->required()
      ->check(not_empty);
  command->add_option("out", options->out, "the .safetensors file to write")->required();
  command->add_option("--config", options->config,
                      "whose `model:` block the weights are for: a Python checkpoint carries none");
  command->callback([options, &chosen] { chosen = [options] { return convert(*options); }; });
}

}  // namespace tools
