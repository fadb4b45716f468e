// linear: y = x·Wᵀ + b and its way back, with the right factor packed for the kernels.
#include "stages/model/kernels/linear.h"

#include "stages/model/kernels/parallel.h"
#include "stages/model/kernels/product.h"

namespace model::kernels {
namespace {

Index panels_of(Index N) { return (N + tile_columns - 1) / tile_columns; }

// A tile of a panel, [rows, 16]; columns beyond N are bias 0 plus nothing.
void multiply_tile(const float* x, const Factor& b, Index panel, Index rows, Index N, Index K, float* c,
                   Index c_row) {
  const Index n = panel * tile_columns, columns = N - n < tile_columns ? N - n : tile_columns;
  float start[tile_columns] = {};
  for (Index j = 0; b.bias && j < columns; ++j) start[j] = b.bias[n + j];
  tile<2, From::bias>(rows, {x, K, 1}, b.panels + n * K, tile_columns, K, c, c_row, start);
}

// visit(m, rows, panel) for all tiles of [M, N]. So many rows of x stay in the second cache while all panels pass by;
// two panels are a part of their own, for products with few rows.
template <class Visit>
void for_tiles(Index M, Index N, Index K, const Visit& visit) {
  constexpr Index row_block = 96, panel_block = 2;
  const Index panels = panels_of(N), panel_blocks = (panels + panel_block - 1) / panel_block,
              row_blocks = (M + row_block - 1) / row_block;
  const auto part_flop = 2.0 * static_cast<double>(M < row_block ? M : row_block) * panel_block *
                         tile_columns * static_cast<double>(K);
  spread(row_blocks * panel_blocks, part_flop, [&](Index begin, Index end) {
    for (Index part = begin; part < end; ++part) {
      const Index top = part / panel_blocks * row_block, bottom = M - top < row_block ? M : top + row_block,
                  first = part % panel_blocks * panel_block;
      for (Index panel = first; panel < first + panel_block && panel < panels; ++panel)
        for (Index m = top, rows = 0; m < bottom; m += rows) visit(m, rows = rows_of_tile(bottom - m), panel);
    }
  });
}

}  // namespace

std::int64_t packed_size(std::int64_t K, std::int64_t N) { return panels_of(N) * K * tile_columns; }

void pack(const float* b, std::int64_t row, std::int64_t column, std::int64_t K, std::int64_t N,
          float* panels) {
  constexpr Index at_once = 8;  // rows whose cache lines are read whole where columns lie far apart
  for (Index p = 0; p < panels_of(N); ++p, panels += K * tile_columns) {
    const Index n = p * tile_columns, columns = N - n < tile_columns ? N - n : tile_columns;
    for (Index k0 = 0; k0 < K; k0 += at_once) {
      const Index k1 = k0 + at_once < K ? k0 + at_once : K;
      for (Index j = 0; j < tile_columns; ++j)
        for (Index k = k0; k < k1; ++k)
          panels[k * tile_columns + j] = j < columns ? b[k * row + (n + j) * column] : 0;
    }
  }
}

void multiply(const float* x, const Factor& b, float* y, std::int64_t M, std::int64_t N, std::int64_t K) {
  for_tiles(M, N, K, [&](Index m, Index rows, Index panel) {
    float* const here = y + m * N + panel * tile_columns;
    const Index columns = N - panel * tile_columns;
    if (columns >= tile_columns) return multiply_tile(x + m * K, b, panel, rows, N, K, here, N);
    float wide[tile_rows * tile_columns];
    multiply_tile(x + m * K, b, panel, rows, N, K, wide, tile_columns);
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < columns; ++j) here[i * N + j] = wide[i * tile_columns + j];
  });
}

void multiply_gated(const float* x, const Factor& up, const Factor& gate, float* y, std::int64_t M,
                    std::int64_t N, std::int64_t K) {
  for_tiles(M, N, 2 * K, [&](Index m, Index rows, Index panel) {
    float ups[tile_rows * tile_columns], gates[tile_rows * tile_columns];
    multiply_tile(x + m * K, up, panel, rows, N, K, ups, tile_columns);
    multiply_tile(x + m * K, gate, panel, rows, N, K, gates, tile_columns);
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < tile_columns && panel * tile_columns + j < N; j += lanes) {
        const Floats g = load(gates + i * tile_columns + j);
        store(y + (m + i) * N + panel * tile_columns + j, load(ups + i * tile_columns + j) * g * sigmoid(g));
      }
  });
}

}  // namespace model::kernels
