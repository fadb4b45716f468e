// whole_file: write, flush, rename.
#include "stages/whole_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace stages {

void write_whole(const std::filesystem::path& path, const std::string& text) {
  const auto part = path.string() + ".tmp";
  const int file = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool fine = file >= 0;
  for (std::size_t at = 0; fine && at < text.size();) {
    const auto put = ::write(file, text.data() + at, text.size() - at);
    if (put < 0 && errno == EINTR) continue;
    fine = put >= 0;
    if (fine) at += static_cast<std::size_t>(put);
  }
  fine = fine && fsync(file) == 0 && std::rename(part.c_str(), path.c_str()) == 0;
  const std::string why = std::strerror(errno);
  if (file >= 0) close(file);
  if (fine) return;
  std::remove(part.c_str());
  throw std::runtime_error("cannot write " + path.generic_string() + ": " + why);
}

}  // namespace stages
