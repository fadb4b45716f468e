// bench_training: pipelines/train.yaml with a config laid over it, for benches of its stages.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "graph/pipeline.h"
#include "stages/model/config.h"

namespace tools {

/// The network that it trains under this config. Throws graph::Error.
model::Config trained_model(const std::filesystem::path& config);

/// The names of its stages that make a batch, in their order.
const std::vector<std::string>& data_stages();

/// The stages of these names and the edges between them, on the CPU: it runs until it is stopped, and validates
/// nothing. Steps have `batch` clips, in micro-batches of one. Throws graph::Error, also when a name is not there.
graph::Pipeline training(const std::filesystem::path& config, std::int64_t batch,
                         const std::vector<std::string>& stages);

}  // namespace tools
