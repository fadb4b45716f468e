// child: this program once more, as a process of its own.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tools {

/// `./run ARGUMENTS` with an empty stdin, and stdout and stderr in a file that begins anew; what others append to that
/// stays. It dies with this object and with this process, however that ends; a terminal's Ctrl-C does not reach it.
/// Made by a thread that outlives it.
class Child {
 public:
  /// Throws std::runtime_error when there can be no such process or file.
  Child(const std::vector<std::string>& arguments, const std::filesystem::path& log);
  ~Child();
  Child(const Child&) = delete;

  void signal(int number) const;

  /// The exit code, 128 and the signal's number for one that a signal ended, or nothing while it runs.
  std::optional<int> ended();

 private:
  pid_t pid_ = -1;  // until it has ended
  int code_ = 0;
};

}  // namespace tools
