// product: a tile of a matrix product, held in registers; all kernels that multiply matrices are loops over it.
//
// Six rows by sixteen columns are twelve accumulators, two parts of a row of B and one number of A: what sixteen
// registers hold, and enough independent sums to keep two multiply-add units busy. Each number is summed in the
// order of k, whatever the tile's size, so that results do not depend on how work was cut.
#pragma once

#include "stages/model/kernels/vector.h"

namespace model::kernels {

constexpr Index tile_rows = 6, tile_columns = 16;

// The left factor: element (i, s·K + k) is at data[i·row + s·segment + k·step]. Segments let a convolution read an
// image as it lies.
struct Left {
  const float* data;
  Index row, step, segments = 1, segment = 0;
};

enum class From { zero, bias, before };

// C[R, 8·V] = start + A[R, segments·K]·B, row k of B at b + k·b_row, 8·V numbers wide. It starts from 0, from the same
// bias[8·V] in every row, or from what C holds.
template <int R, int V, From from>
inline void tile(const Left& a, const float* b, Index b_row, Index K, float* c, Index c_row,
                 const float* bias) {
  Floats sums[R][V];
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < V; ++j)
      sums[i][j] = from == From::zero   ? all(0)
                   : from == From::bias ? load(bias + lanes * j)
                                        : load(c + i * c_row + lanes * j);
  for (Index s = 0; s < a.segments; ++s) {
    const float* left = a.data + s * a.segment;
    for (Index k = 0; k < K; ++k, b += b_row, left += a.step) {
      Floats right[V];
#pragma GCC unroll 4
      for (int j = 0; j < V; ++j) right[j] = load(b + lanes * j);
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) {
        const Floats number = all(left[i * a.row]);
#pragma GCC unroll 4
        for (int j = 0; j < V; ++j) sums[i][j] += number * right[j];
      }
    }
  }
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < V; ++j) store(c + i * c_row + lanes * j, sums[i][j]);
}

// How many rows the next tile takes of so many that are left: evenly many each, since a tile of one or two rows takes as
// long as one of four.
inline Index rows_of_tile(Index left) {
  const Index tiles = (left + tile_rows - 1) / tile_rows;
  return (left + tiles - 1) / tiles;
}

// The same for 1 … 6 rows.
template <int V, From from>
void tile(Index rows, const Left& a, const float* b, Index b_row, Index K, float* c, Index c_row,
          const float* bias = nullptr) {
  switch (rows) {
    case 1:
      return tile<1, V, from>(a, b, b_row, K, c, c_row, bias);
    case 2:
      return tile<2, V, from>(a, b, b_row, K, c, c_row, bias);
    case 3:
      return tile<3, V, from>(a, b, b_row, K, c, c_row, bias);
    case 4:
      return tile<4, V, from>(a, b, b_row, K, c, c_row, bias);
    case 5:
      return tile<5, V, from>(a, b, b_row, K, c, c_row, bias);
    default:
      return tile<6, V, from>(a, b, b_row, K, c, c_row, bias);
  }
}

// C[rows, columns] for any number of rows, columns a multiple of 8.
template <From from>
void product(Index rows, Index columns, Index K, Left a, const float* b, Index b_row, float* c, Index c_row) {
  const float* const first = a.data;
  for (Index j = 0; j < columns; j += tile_columns)
    for (Index i = 0, r = 0; i < rows; i += r) {
      a.data = first + i * a.row;
      r = rows_of_tile(rows - i);
      if (columns - j >= tile_columns)
        tile<2, from>(r, a, b + j, b_row, K, c + i * c_row + j, c_row);
      else
        tile<1, from>(r, a, b + j, b_row, K, c + i * c_row + j, c_row);
    }
}

}  // namespace model::kernels
