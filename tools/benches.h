// benches: what `bench` can measure. Each prints its tables, gives its figures, and throws graph::Error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "stages/model/config.h"
#include "tools/peak.h"

namespace tools {

struct BenchSetup {
  std::filesystem::path config;  // laid over pipelines/train.yaml
  model::Config model;           // what that trains
  Peak peak;                     // of this machine, where a bench of a model was chosen
  std::int64_t batch = 16;       // clips that a step trains on
  double seconds = 5;            // of one measurement; it ends with a message, so it may take longer
};

// Of a model.
nlohmann::json bench_train(const BenchSetup& setup);
nlohmann::json bench_play(const BenchSetup& setup);
nlohmann::json bench_sampling(const BenchSetup& setup);

// Of all else, without the peak; graph and taps take no notice of the rest of the setup either.
nlohmann::json bench_data(const BenchSetup& setup);
nlohmann::json bench_graph(const BenchSetup& setup);
nlohmann::json bench_taps(const BenchSetup& setup);

}  // namespace tools
