// safetensors: reads and writes the format of that name, a JSON header and raw little-endian numbers.
//
// Source: github.com/huggingface/safetensors (the format's rules are checked, not trusted)
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "stages/model/parameters.h"

namespace model {

struct TensorFile {
  Parameters tensors;  // in the order in which they lie in the file
  std::map<std::string, std::string> metadata;
};

// Reads a whole file into CPU tensors. Throws std::runtime_error with one line that names the file and what
// is wrong when it is missing, cut off, or breaks the format; the tensors take no more memory than the file,
// whatever its header says.
TensorFile read_safetensors(const std::filesystem::path& path);

// What the header of such a file says beside its tensors; the tensors are neither checked nor read. Throws as above.
std::map<std::string, std::string> read_metadata(const std::filesystem::path& path);

// Writes so that `path` is at any moment the old file or the whole new one, also across a power cut: to
// `path`.tmp, flushed, renamed. A leftover .tmp after a kill is garbage. Throws std::runtime_error when the
// disk refuses.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace model
