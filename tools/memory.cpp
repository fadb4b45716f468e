// memory: the most memory that this process had at one time, as Linux keeps it.
#include "tools/memory.h"

#include <fstream>
#include <string>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "graph/error.h"

namespace tools {

bool reset_peak_memory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;  // of all that this file can do, the one that resets VmHWM
  return static_cast<bool>(file);
}

double peak_memory_gb() {
  std::ifstream file("/proc/self/status");
  for (std::string key; file >> key; std::getline(file, key)) {
    double kib = 0;
    if (key == "VmHWM:" && file >> kib) return kib * 1024 * 1e-9;
  }
  throw graph::Error("/proc/self/status does not say how much memory this process had");
}

}  // namespace tools
