// products: what products of matrices are computed with.
#include "stages/model/products.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace model {

bool has_amx() {
#if defined(__x86_64__)
  // A process asks for the unit's registers once. The numbers are those of Linux' <asm/prctl.h>, which old headers lack.
  constexpr long request_permission = 0x1023, tile_data = 18;
  static const bool granted = __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("avx512bw") &&
                              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                              syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  return granted;
#else
  return false;
#endif
}

}  // namespace model
