// convolution: 5 x 5, stride 1, as wide as it was; images channels-last. The image is read as it lies: a row of the
// filter over a pixel is 5·channels neighbouring numbers.
#pragma once

#include <cstdint>

namespace model::kernels {

constexpr std::int64_t filter = 5, margin = 2;

struct Images {
  std::int64_t count, height, width;
};

// x [count, height, width, channels] → [count, height+4, width+4, channels] with zeros around.
void pad(const Images& images, std::int64_t channels, const float* x, float* padded);

// What packed filters take.
std::int64_t packed_filters_size(std::int64_t in, std::int64_t out);
// weight [out, in, 5, 5] for the way from `in` to `out` channels.
void pack_filters(const float* weight, std::int64_t in, std::int64_t out, float* panels);
// The same for the way back, from `out` to `in` channels: convolve() then turns dy into dx.
void pack_filters_backward(const float* weight, std::int64_t in, std::int64_t out, float* panels);

// padded as pad() makes it, bias [out] or none → y [count, height, width, out]
void convolve(const Images& images, std::int64_t in, std::int64_t out, const float* padded,
              const float* panels, const float* bias, float* y);

// padded, dy [count, height, width, out] → dweight [out, in, 5, 5]
void convolve_backward_weight(const Images& images, std::int64_t in, std::int64_t out, const float* padded,
                              const float* dy, float* dweight);

}  // namespace model::kernels
