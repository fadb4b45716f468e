// weights_out: where a verb writes weights.
#pragma once

#include <algorithm>
#include <filesystem>
#include <vector>

#include "graph/error.h"

namespace tools {

/// Throws graph::Error when `out` has not the ending of a weights file, is there and no file, or is one of those that are
/// read. A weights file that is there may be replaced.
inline void require_weights_out(const std::filesystem::path& out,
                                const std::vector<std::filesystem::path>& read) {
  if (out.extension() != ".safetensors")
    throw graph::Error(out.generic_string() + ": weights are written as .safetensors; give it that ending");
  std::error_code code;
  if (std::filesystem::exists(out, code) && !std::filesystem::is_regular_file(out, code))
    throw graph::Error(out.generic_string() + " is no regular file, so it is not replaced");
  if (std::ranges::any_of(read, [&](const auto& in) { return std::filesystem::equivalent(in, out, code); }))
    throw graph::Error(out.generic_string() + " is one of the files that are read; choose another name");
}

}  // namespace tools
