// bench_players: frames of many players who are dreamed in one batch.
#pragma once

#include <nlohmann/json.hpp>

namespace tools {

/// Prints and gives: frames a second of all players together, for 1, 4, 16 and 64 of them and two networks; and how
/// fast this machine multiplies matrices. About a minute. Throws graph::Error.
nlohmann::json bench_players();

}  // namespace tools
