// random: generators that are a function of seed, stage and message number.
//
// There is no global generator: message n of a stage draws the same numbers in every run with the same seed,
// whatever the threads did and wherever the run was resumed.
#pragma once

#include <ATen/core/Generator.h>

#include <cstdint>
#include <string_view>

namespace stages {

/// A CPU generator of its own. `purpose` keeps stages with equal seeds apart.
at::Generator generator(std::uint64_t seed, std::uint64_t number, std::string_view purpose);

}  // namespace stages
