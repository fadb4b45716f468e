// average: the mean of several networks' weights, as one network.
//
// Networks that were trained on from the same weights, or one from the other, differ by what chance made of each, and that
// cancels: the mean can be better than any (of the first kind: Wortsman et al. 2022, "Model soups", arXiv:2203.05482).
// The mean of networks that were trained apart from the beginning is no network.
#include <torch/types.h>

#include <cstdio>
#include <memory>

#include "graph/error.h"
#include "stages/find_checkpoint.h"
#include "stages/model/weights_file.h"
#include "tools/request.h"
#include "tools/verbs.h"
#include "tools/weights_out.h"

namespace tools {
namespace {

struct Options {
  std::vector<std::string> in;
  std::filesystem::path out;
};

int average(const Options& options) {
  std::vector<std::filesystem::path> paths;
  for (const auto& in : options.in) paths.push_back(stages::find_checkpoint(in, "average"));
  require_weights_out(options.out, paths);
  auto mean = model::load(paths[0]);
  for (auto& tensor : mean.parameters.tensors) tensor = tensor.to(torch::kDouble);
  for (std::size_t i = 1; i < paths.size(); ++i) {
    const auto other = model::load(paths[i]);
    if (other.config != mean.config)
      throw graph::Error(
          paths[i].generic_string() + " and " + paths[0].generic_string() +
          " are not of one model (./run inspect FILE); only weights of the same can be averaged");
    for (std::size_t k = 0; k < mean.parameters.size(); ++k)
      mean.parameters.tensors[k] = mean.parameters.tensors[k] + other.parameters.tensors[k];
  }
  for (auto& tensor : mean.parameters.tensors)
    tensor = (tensor / static_cast<double>(paths.size())).to(torch::kFloat);
  model::save(options.out, mean.config, mean.parameters, {{"average_of", std::to_string(paths.size())}});
  std::printf("%s: the mean of %zu networks of %lld numbers\n", options.out.c_str(), paths.size(),
              static_cast<long long>(mean.parameters.count()));
  return 0;
}

}  // namespace

void add_average(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("average", "the mean of several weights files, as one");
  auto options = std::make_shared<Options>();
  command->add_option("in", options->in, ".safetensors files, or run folders for their newest")
      ->required()
      ->expected(2, 64)
      ->check(not_empty);
  command->add_option("-o,--out", options->out, "the .safetensors file to write")->required();
  command->callback([options, &chosen] { chosen = [options] { return average(*options); }; });
}

}  // namespace tools
