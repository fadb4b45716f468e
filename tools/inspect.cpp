// inspect: says what is in a file of weights.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "stages/find_checkpoint.h"
#include "stages/model/safetensors.h"
#include "stages/model/text_file.h"
#include "stages/model/torch_pickle.h"
#include "stages/model/weights_file.h"
#include "tools/request.h"
#include "tools/verbs.h"

namespace tools {
namespace {

void print(const model::Parameters& parameters) {
  std::size_t width = 0, bytes = 0;
  for (const auto& name : parameters.names) width = std::max(width, model::printable(name).size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& tensor = parameters.tensors[i];
    bytes += tensor.nbytes();
    fmt::print("  {:{}}  {:20} {:>10}  {}{}\n", model::printable(parameters.names[i]), width,
               model::printable(fmt::format("[{}]", fmt::join(tensor.sizes(), ", "))), tensor.numel(),
               c10::toString(tensor.scalar_type()), model::is_finite(tensor) ? "" : "  not finite");
  }
  fmt::print("{} tensors, {} numbers, {:.1f} MB\n", parameters.size(), parameters.count(),
             static_cast<double>(bytes) / 1e6);
}

int inspect(const std::string& given) {
  const auto path = stages::find_checkpoint(given, "inspect");
  if (model::is_python(path)) {
    fmt::print("{}: a Python checkpoint, which carries no config\n", path.generic_string());
    print(model::read_python(path));
    return 0;
  }
  auto file = model::read_safetensors(path);
  const auto config = file.metadata.extract(model::config_key);
  fmt::print("{}\n", path.generic_string());
  if (config) {
    const auto json = nlohmann::ordered_json::parse(config.mapped(), nullptr, false);
    fmt::print("model:\n");
    if (json.is_object())
      for (const auto& [key, value] : json.items())
        fmt::print("  {}: {}\n", model::printable(key), model::printable(value.dump()));
  }
  for (const auto& [key, value] : file.metadata)
    fmt::print("{}: {}\n", model::printable(key), model::printable(value));
  print(file.tensors);
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("inspect", "say what is in a file of weights");
  auto path = std::make_shared<std::string>();
  command->add_option("file", *path, "a .safetensors file, model.pt, or a run folder for its newest")
      ->required()
      ->check(not_empty);
  command->callback([path, &chosen] { chosen = [path] { return inspect(*path); }; });
}

}  // namespace tools
