// no_amx: what stands in for the kernels on AMX where they cannot be compiled.
#include <cstdlib>

#include "stages/model/kernels/amx_product.h"
#include "stages/model/kernels/attention.h"
#include "stages/model/kernels/has_amx.h"

namespace model::kernels {

bool has_amx() { return false; }

void amx_multiply(const Matrix&, const Matrix&, const float*, float*, std::int64_t, std::int64_t,
                  std::int64_t) {
  std::abort();
}
void amx_attend(const Clips&, float*, float*) { std::abort(); }
void amx_attend_backward(const Clips&, const float*, const float*, const float*, float*, float*, float*) {
  std::abort();
}

}  // namespace model::kernels
