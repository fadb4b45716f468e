// peak: how fast this machine multiplies matrices, in single precision.
#include "tools/peak.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace tools {
namespace {

double gflops(unsigned cores) {
  using Clock = std::chrono::steady_clock;
  constexpr int runs = 5, products = 4;
  struct Matrices {
    at::Tensor a, b, product;
  };
  double best = 0;
  for (const std::int64_t side : {512, 768, 1024}) {
    std::vector<Matrices> all;
    for (unsigned i = 0; i < cores; ++i)
      all.push_back({at::rand({side, side}), at::rand({side, side}), at::empty({side, side})});
    for (int run = 0; run < runs; ++run) {
      const auto begin = Clock::now();
      std::vector<std::thread> crew;
      for (auto& each : all)
        crew.emplace_back([&each] {
          for (int i = 0; i < products; ++i) at::mm_out(each.product, each.a, each.b);
        });
      for (auto& thread : crew) thread.join();
      const std::chrono::duration<double> spent = Clock::now() - begin;
      const auto cube = static_cast<double>(side * side * side);
      best = std::max(best, 2e-9 * cube * products * cores / spent.count());
    }
  }
  return best;
}

}  // namespace

Peak measure_peak() {
  return {.all_cores = gflops(std::max(1u, std::thread::hardware_concurrency())), .one_core = gflops(1)};
}

}  // namespace tools
