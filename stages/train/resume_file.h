// resume_file: where a training run keeps what it goes on from, and how far it has come.
#pragma once

#include <cstdint>
#include <filesystem>

#include "graph/pipeline.h"

namespace stages {

/// checkpoints/resume.safetensors: the newest state of training, one file that is replaced as a whole.
std::filesystem::path resume_file(const std::filesystem::path& run_folder);

struct Reached {
  std::uint64_t step = 0;  // also the number of the next message
  double seconds = 0;      // of the run's time
};

/// How far the run in `run_folder` has come; zeros before its first checkpoint. Throws std::runtime_error with one
/// line when the file is broken.
Reached reached(const std::filesystem::path& run_folder);

/// Whether a run that is to stop there has nothing left to do.
bool is_done(const Reached& reached, const graph::Stop& stop);

}  // namespace stages
