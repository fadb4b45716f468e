// convolution: 5 x 5, stride 1, as wide as it was; images channels-last.
#include "stages/model/kernels/convolution.h"

#include "stages/model/kernels/linear.h"
#include "stages/model/kernels/parallel.h"
#include "stages/model/kernels/product.h"
#include "stages/model/kernels/scratch.h"

namespace model::kernels {
namespace {

// panels [⌈out/16⌉][5·5·in][16]; number(o, i, y, x) is the filters' number for output o and input i.
template <class Number>
void pack_panels(Index in, Index out, float* panels, const Number& number) {
  for (Index n = 0; n < out; n += tile_columns)
    for (Index y = 0; y < filter; ++y)
      for (Index x = 0; x < filter; ++x)
        for (Index i = 0; i < in; ++i, panels += tile_columns)
          for (Index j = 0; j < tile_columns; ++j) panels[j] = n + j < out ? number(n + j, i, y, x) : 0;
}

}  // namespace

void pad(const Images& images, std::int64_t channels, const float* x, float* padded) {
  const Index row = images.width * channels, side = margin * channels;
  for (Index f = 0; f < images.count; ++f) {
    padded = zero(padded, margin * (row + 2 * side));
    for (Index y = 0; y < images.height; ++y, x += row) {
      padded = zero(padded, side);
      padded = copy(x, row, padded);
      padded = zero(padded, side);
    }
    padded = zero(padded, margin * (row + 2 * side));
  }
}

std::int64_t packed_filters_size(std::int64_t in, std::int64_t out) {
  return packed_size(filter * filter * in, out);
}

void pack_filters(const float* weight, std::int64_t in, std::int64_t out, float* panels) {
  pack_panels(in, out, panels, [&](Index o, Index i, Index y, Index x) {
    return weight[((o * in + i) * filter + y) * filter + x];
  });
}

void pack_filters_backward(const float* weight, std::int64_t in, std::int64_t out, float* panels) {
  pack_panels(out, in, panels, [&](Index i, Index o, Index y, Index x) {
    return weight[((o * in + i) * filter + filter - 1 - y) * filter + filter - 1 - x];
  });
}

void convolve(const Images& images, std::int64_t in, std::int64_t out, const float* padded,
              const float* panels, const float* bias, float* y) {
  const Index width = images.width, height = images.height, padded_row = (width + 2 * margin) * in,
              K = filter * filter * in;
  const Index panel_count = (out + tile_columns - 1) / tile_columns,
              parts = images.count * panel_count * height;
  const double part_flop = 2.0 * static_cast<double>(width) * static_cast<double>(K) * tile_columns;
  spread(parts, part_flop, [&](Index begin, Index end) {
    for (Index part = begin; part < end; ++part) {
      const Index row = part % height, n = part / height % panel_count * tile_columns,
                  image = part / height / panel_count, columns = smaller(tile_columns, out - n);
      float start[tile_columns] = {}, wide[tile_rows * tile_columns];
      if (bias) copy(bias + n, columns, start);
      for (Index x = 0, pixels = 0; x < width; x += pixels) {
        pixels = rows_of_tile(width - x);
        const Left window{padded + (image * (height + 2 * margin) + row) * padded_row + x * in, in, 1, filter,
                          padded_row};
        float* const here = y + ((image * height + row) * width + x) * out + n;
        if (columns == tile_columns) {
          tile<2, From::bias>(pixels, window, panels + n * K, tile_columns, filter * in, here, out, start);
        } else {
          tile<2, From::bias>(pixels, window, panels + n * K, tile_columns, filter * in, wide, tile_columns,
                              start);
          for (Index i = 0; i < pixels; ++i) copy(wide + i * tile_columns, columns, here + i * out);
        }
      }
    }
  });
}

// For a row of the filter: dweight[5·in, out] is the sum over all pixels of what lies under the row, times dy.
void convolve_backward_weight(const Images& images, std::int64_t in, std::int64_t out, const float* padded,
                              const float* dy, float* dweight) {
  const Index width = images.width, height = images.height, pixels = height * width,
              padded_row = (width + 2 * margin) * in, K = filter * in;
  const Index panel_count = (out + tile_columns - 1) / tile_columns, all_pixels = images.count * pixels;
  const double flop = 2.0 * static_cast<double>(all_pixels) * static_cast<double>(K) * filter * tile_columns;
  spread(panel_count, flop, [&](Index begin, Index end) {
    float* const panel = scratch(Scratch::gradients, pixels * tile_columns);
    float* const sums = scratch(Scratch::along, filter * K * tile_columns);
    for (Index p = begin; p < end; ++p) {
      const Index n = p * tile_columns, columns = smaller(tile_columns, out - n);
      zero(sums, filter * K * tile_columns);
      for (Index image = 0; image < images.count; ++image) {
        pack(dy + image * pixels * out + n, out, 1, pixels, columns, panel);
        const float* const corner = padded + image * (height + 2 * margin) * padded_row;
        for (Index y = 0; y < filter; ++y)
          for (Index m = 0, rows = 0; m < K; m += rows) {
            rows = rows_of_tile(K - m);
            const Left below{corner + y * padded_row + m, 1, in, height, padded_row};
            tile<2, From::before>(rows, below, panel, tile_columns, width, sums + (y * K + m) * tile_columns,
                                  tile_columns);
          }
      }
      for (Index j = 0; j < columns; ++j)
        for (Index i = 0; i < in; ++i)
          for (Index y = 0; y < filter; ++y)
            for (Index x = 0; x < filter; ++x)
              dweight[(((n + j) * in + i) * filter + y) * filter + x] =
                  sums[(y * K + x * in + i) * tile_columns + j];
    }
  });
}

}  // namespace model::kernels
