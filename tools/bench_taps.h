// bench_taps: what readers of taps cost a game, and how long an act takes to its frame.
#pragma once

#include <nlohmann/json.hpp>

namespace tools {

/// Prints and gives: CPU time and frames a second with one reader, ten, and one that never reads, against none; the
/// latency of acts over ipc and tcp. About a minute and a half. Throws graph::Error.
nlohmann::json bench_taps();

}  // namespace tools
