// has_amx: whether the kernels on AMX can run here.
#include "stages/model/kernels/has_amx.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace model::kernels {

bool has_amx() {
  // The numbers are those of Linux' <asm/prctl.h>, which old headers lack.
  constexpr long request_permission = 0x1023, tile_data = 18;
  static const bool granted = __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("avx512bw") &&
                              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                              syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  return granted;
}

}  // namespace model::kernels
