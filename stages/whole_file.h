// whole_file: writes a small text file so that it is there whole or not at all.
#pragma once

#include <filesystem>
#include <string>

namespace stages {

/// `path` is at any moment the old file or the whole new one: written to `path`.tmp, flushed, renamed. Throws
/// std::runtime_error with one line when the disk refuses.
void write_whole(const std::filesystem::path& path, const std::string& text);

}  // namespace stages
