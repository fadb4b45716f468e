// amx_product: products of float32 matrices on the matrix unit of processors with AMX.
#include "stages/model/kernels/amx_product.h"

#include "stages/model/kernels/amx.h"
#include "stages/model/kernels/parallel.h"
#include "stages/model/kernels/scratch.h"

namespace model::kernels {
namespace {

// The unit holds a square of four tiles of the product, and so many tiles along k of its rows stay in the first cache.
constexpr Index block = 2 * tile, most_tiles = 8;

// c [32, 32] = start + a·b over `tiles` of k; the tiles of b's second half lie `b_half` behind those of its first.
void multiply_block(const Bfloat* a, const Bfloat* b, Index b_half, Index tiles, const float* start,
                    Index start_row, float* c, Index c_row) {
  const auto four_products = [] {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  };
  is_written();
  _tile_loadd(0, start, bytes(start_row));
  _tile_loadd(1, start + tile, bytes(start_row));
  _tile_loadd(2, start + tile * start_row, bytes(start_row));
  _tile_loadd(3, start + tile * start_row + tile, bytes(start_row));
  for (Index k = 0; k < tiles; ++k, a += 2 * both, b += both) {
    _tile_loadd(4, a + tile_size, line);  // the smaller parts of a times the larger of b
    _tile_loadd(5, a + both + tile_size, line);
    _tile_loadd(6, b, line);
    _tile_loadd(7, b + b_half, line);
    four_products();
    _tile_loadd(4, a, line);  // larger times larger
    _tile_loadd(5, a + both, line);
    four_products();
    _tile_loadd(6, b + tile_size, line);  // larger times smaller
    _tile_loadd(7, b + b_half + tile_size, line);
    four_products();
  }
  _tile_stored(0, c, bytes(c_row));
  _tile_stored(1, c + tile, bytes(c_row));
  _tile_stored(2, c + tile * c_row, bytes(c_row));
  _tile_stored(3, c + tile * c_row + tile, bytes(c_row));
}

// The same of as many rows and columns as there are, slower.
void multiply_edge(const Bfloat* a, const Bfloat* b, Index b_half, Index tiles, const float* start,
                   Index start_row, float* c, Index c_row, Index rows, Index columns) {
  alignas(line) float whole[block * block] = {};
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j) whole[i * block + j] = start[i * start_row + j];
  multiply_block(a, b, b_half, tiles, whole, block, whole, block);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j) c[i * c_row + j] = whole[i * block + j];
}

// Numbers as bfloat16, in a scratch of half as many floats.
Bfloat* packed_here(Scratch whose, Index numbers) {
  return reinterpret_cast<Bfloat*>(scratch(whose, numbers / 2));
}

}  // namespace

void amx_multiply(const Matrix& a, const Matrix& b, const float* bias, float* c, std::int64_t M,
                  std::int64_t N, std::int64_t K) {
  const Index k_tiles = tiles_of(K, depth), panels = tiles_of(N, tile);
  Bfloat* const right = packed_here(Scratch::panels, panels * k_tiles * both);
  // In whole tiles, and long before it is read: a tile that was just written, number by number, is slow to load.
  float* const start = scratch(Scratch::along, tiles_of(N, block) * block);
  for (Index j = 0; j < tiles_of(N, block) * block; ++j) start[j] = bias && j < N ? bias[j] : 0;
  constexpr double flop_of_packing = 8;  // a number, about
  spread(k_tiles, flop_of_packing * depth * static_cast<double>(N), [&](Index begin, Index end) {
    for (Index k = begin; k < end; ++k)
      for (Index panel = 0; panel < panels; ++panel)
        pack_tile<Side::right>(b.data + panel * tile * b.column + k * depth * b.row, b.column, b.row,
                               N - panel * tile, K - k * depth, right + (panel * k_tiles + k) * both);
  });
  // Evenly many at a time, and one time at least: a sum of nothing is the bias.
  const Index times = larger(1, tiles_of(k_tiles, most_tiles)), at_once = tiles_of(k_tiles, times);
  const double flop_of_block = 2.0 * block * static_cast<double>(N) * static_cast<double>(K);
  spread(tiles_of(M, block), flop_of_block, [&](Index begin, Index end) {
    const Unit unit;
    Bfloat* const left = packed_here(Scratch::left, 2 * most_tiles * both);
    for (Index m = begin * block; m < smaller(end * block, M); m += block)
      for (Index time = 0; time < times; ++time) {
        const Index k = time * at_once, deep = smaller(at_once, k_tiles - k);
        for (Index i = 0; i < 2 * deep; ++i) {
          const Index row = m + i % 2 * tile, from_k = (k + i / 2) * depth;
          pack_tile<Side::left>(a.data + row * a.row + from_k * a.column, a.row, a.column, M - row,
                                K - from_k, left + i * both);
        }
        for (Index n = 0; n < N; n += block) {
          const Index rows = smaller(block, M - m), columns = smaller(block, N - n);
          const Bfloat* const tiles = right + (n / tile * k_tiles + k) * both;
          const Index half = columns > tile ? k_tiles * both : 0;
          float* const here = c + m * N + n;
          const float* const from = k == 0 ? start + n : here;
          const Index from_row = k == 0 ? 0 : N;
          if (rows == block && columns == block)
            multiply_block(left, tiles, half, deep, from, from_row, here, N);
          else
            multiply_edge(left, tiles, half, deep, from, from_row, here, N, rows, columns);
        }
      }
  });
}

}  // namespace model::kernels
