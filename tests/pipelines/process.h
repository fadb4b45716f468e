// process: runs the binary as a person would, for tests.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/folder.h"

namespace tests {

/// A running `worldline ARGUMENTS` with stdout and stderr in one file. Killed with the object.
class Process {
 public:
  explicit Process(std::vector<std::string> arguments);
  ~Process();
  Process(const Process&) = delete;

  void signal(int number) const;
  /// The exit code; -1 when it did not end in time or was ended by a signal.
  int wait(std::chrono::milliseconds limit = std::chrono::minutes(5));
  /// All that it has printed so far.
  std::string output() const;
  /// Waits until `text` was printed; false when it was not in time.
  bool printed(const std::string& text, std::chrono::milliseconds limit = std::chrono::minutes(2)) const;

 private:
  pid_t pid_ = -1;
  std::filesystem::path log_;
};

/// A disk of `bytes` at a folder of its own, unmounted with the object. Mounting is for root: others get a
/// disk that is not ready, and skip.
class SmallDisk {
 public:
  explicit SmallDisk(std::size_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;

  bool ready() const { return ready_; }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
  std::string string() const { return folder_.string(); }

 private:
  Folder folder_;
  bool ready_ = false;
};

struct Result {
  int code;
  std::string output;
};

/// Runs `worldline ARGUMENTS` to its end.
Result run(std::vector<std::string> arguments);

/// Whether `part` stands in `text`.
bool has(const std::string& text, const std::string& part);

}  // namespace tests
