// out: where a recorded or dreamed game goes: a folder, or a video.
#pragma once

#include <filesystem>

#include "graph/error.h"

namespace tools {

/// By the name's ending.
inline bool is_video(const std::filesystem::path& out) {
  return out.extension() == ".mp4" || out.extension() == ".mkv";
}

/// Throws graph::Error when something is there already; an empty folder is nothing.
inline void refuse_existing(const std::filesystem::path& out) {
  std::error_code code;
  if (!std::filesystem::exists(out, code)) return;
  if (!is_video(out) && std::filesystem::is_directory(out, code) && std::filesystem::is_empty(out, code))
    return;
  throw graph::Error(out.generic_string() + " exists; choose another name, or remove it");
}

}  // namespace tools
