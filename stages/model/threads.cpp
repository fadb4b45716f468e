// threads: settings of the process that the numeric libraries run fast with, and a warning where they cannot.
#include "stages/model/threads.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace model {

void use_one_thread_per_call() {
  at::set_num_threads(1);
  // Looked up by name: OpenBLAS comes in behind libblas.so and a machine may have another library there.
  if (void* symbol = dlsym(RTLD_DEFAULT, "openblas_set_num_threads")) {
    reinterpret_cast<void (*)(int)>(symbol)(1);
  }
}

void keep_memory() {
#if defined(__GLIBC__)
  constexpr int largest_from_heap = 32 << 20;  // glibc takes no higher threshold
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, largest_from_heap);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, largest_from_heap);
#endif
}

std::string blas_warning() {
  // Measured rather than looked up: that OpenBLAS is loaded does not say that libtorch is the one who calls
  // it.
  constexpr double expected_gflops = 5;  // the reference BLAS reaches 1 to 2, an optimised one 30 and more
  constexpr std::int64_t side = 256;
  const at::NoGradGuard no_grad;
  const at::Tensor a = at::ones({side, side});
  double best_seconds = 1;
  for (int i = 0; i < 3; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const at::Tensor product = at::mm(a, a);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    best_seconds = std::min(best_seconds, elapsed.count());
  }
  const double gflops = 2e-9 * side * side * side / best_seconds;
  if (gflops >= expected_gflops) return {};
  char text[200];
  std::snprintf(
      text, sizeof text,
      "matrix products run at %.1f GFLOP/s, so libtorch seems to use the unoptimised BLAS (about 50 times "
      "slower): install libopenblas0",
      gflops);
  return text;
}

}  // namespace model
