// amx_product: products of float32 matrices on the matrix unit of processors with AMX; see amx.h for how exact.
#pragma once

#include <cstdint>

namespace model::kernels {

// Element (i, j) is at data[i·row + j·column]; row or column is 1.
struct Matrix {
  const float* data;
  std::int64_t row, column;
};

// c [M, N] = a [M, K]·b [K, N] + bias [N] or none; rows of c contiguous. Where there is AMX. What comes out does not
// depend on the number of cores.
void amx_multiply(const Matrix& a, const Matrix& b, const float* bias, float* c, std::int64_t M,
                  std::int64_t N, std::int64_t K);

}  // namespace model::kernels
