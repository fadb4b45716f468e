// weights_file: a network on disk, its parameters and the config that they belong to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "stages/model/config.h"
#include "stages/model/parameters.h"

namespace model {

using Facts = std::map<std::string, std::string>;

// Metadata key under which a file holds the config as JSON.
inline constexpr const char* config_key = "model";

struct WeightsFile {
  Config config;
  Parameters parameters;  // in the network's order, on the CPU
  Facts facts;            // whatever else the writer put beside: step, run, val_loss …
};

// A safetensors file with the config as JSON under the metadata key `model` and the facts under theirs.
// Atomic, as write_safetensors. Throws std::invalid_argument when the parameters are not the config's or a
// fact is named `model`.
void save(const std::filesystem::path& path, const Config& config, const Parameters& parameters,
          const Facts& facts = {});

// Throws std::runtime_error with one line when the file is broken, has no `model`, or holds other parameters
// than its config calls for: it lists those that are missing, those that are too many, and those of another
// shape.
WeightsFile load(const std::filesystem::path& path);

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

// The parameters in the config's order, as float32. `ignored` may be there too, in that shape. Throws
// std::runtime_error that starts with `where` and lists what does not match, or what is not finite.
Parameters match(const Config& config, const Parameters& parameters, const std::string& where,
                 const Shapes& ignored = {});

}  // namespace model
