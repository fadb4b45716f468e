// find_checkpoint: which weights a person means by a file or a run folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace stages {

/// The file itself, or of a run folder (experiments/NAME) the newest file in its checkpoints. Throws graph::Error
/// that says what to do when there is none; `parameter` is whose value it is, as in "denoise.checkpoint".
std::filesystem::path find_checkpoint(const std::string& given, const std::string& parameter);

/// 500 for "step-000500.safetensors", as runs name their weights; nothing for any other name.
std::optional<std::int64_t> checkpoint_step(const std::string& file_name);

}  // namespace stages
