// text_file: small texts from disk, and foreign words that are fit to be shown.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace model {

// All of a regular file of at most 64 MB. Throws std::runtime_error with the path and what is wrong.
std::string read_text(const std::filesystem::path& path);

// A name that comes from a file, for a person to read: control characters become '?', and what is beyond 80
// bytes '…'.
std::string printable(std::string_view text);

}  // namespace model
