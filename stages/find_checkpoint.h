// find_checkpoint: which weights a person means by a file or a run folder.
#pragma once

#include <filesystem>
#include <string>

namespace stages {

/// The file itself, or of a run folder (experiments/NAME) the newest file in its checkpoints. Throws graph::Error
/// that says what to do when there is none; `parameter` is whose value it is, as in "denoise.checkpoint".
std::filesystem::path find_checkpoint(const std::string& given, const std::string& parameter);

}  // namespace stages
