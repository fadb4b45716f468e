// linear: y = x·Wᵀ + b and its way back, with the right factor packed for the kernels.
#pragma once

#include <cstdint>

namespace model::kernels {

// Numbers that a packed [K, N] takes.
std::int64_t packed_size(std::int64_t K, std::int64_t N);

// B [K, N], element (k, n) at b[k·row + n·column], into panels [⌈N/16⌉][K][16], filled up with zeros.
void pack(const float* b, std::int64_t row, std::int64_t column, std::int64_t K, std::int64_t N,
          float* panels);

struct Factor {
  const float *panels, *bias;  // of B [K, N]; [N] or none
};

// y [M, N] = x [M, K]·B + bias, rows of x and y contiguous.
void multiply(const float* x, const Factor& b, float* y, std::int64_t M, std::int64_t N, std::int64_t K);

// y [M, N] = up·silu(gate), both of them x·B + bias; N is a multiple of 8.
void multiply_gated(const float* x, const Factor& up, const Factor& gate, float* y, std::int64_t M,
                    std::int64_t N, std::int64_t K);

}  // namespace model::kernels
