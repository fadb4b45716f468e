// run_folder: the folder of a run that writes, made whole, held by one process at a time, and gone on from.
#pragma once

#include <filesystem>
#include <string>

#include "graph/pipeline.h"

namespace tools {

/// Owns the folder while it lives: a second process that wants to go on from it is refused. The system lets go of
/// it however the process ends.
class RunFolder {
 public:
  /// A new folder RUNS/NAME (NAME empty: date and time) with the merged pipeline in it. It appears with its
  /// pipeline.yaml or not at all. Throws graph::Error for names that cannot be taken and std::runtime_error when
  /// the disk refuses.
  static RunFolder make(const std::filesystem::path& runs, const std::string& name,
                        const graph::Pipeline& pipeline);

  /// The folder of an earlier run. Throws graph::Error when another process is writing into it.
  static RunFolder reopen(const std::filesystem::path& folder);

  ~RunFolder();
  RunFolder(RunFolder&& other) noexcept;
  RunFolder(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  /// Replaces pipeline.yaml.
  void write(const graph::Pipeline& pipeline) const;

  /// Logs go to log.txt as well from now on, to the end of the process.
  void take_log() const;

  /// Takes the folder away when nothing was written into it but what this class writes.
  void remove_if_unused() const;

 private:
  explicit RunFolder(std::filesystem::path path);

  std::filesystem::path path_;
  int lock_ = -1;
};

/// Throws graph::Error with every value that a run may not change on its way: all but `stop:` and live
/// parameters, each with the old value and the new.
void check_changes(const graph::Pipeline& before, const graph::Pipeline& now);

}  // namespace tools
