// scratch: memory of a thread's own that kernels write into and forget.
#include "stages/model/kernels/scratch.h"

#include <array>
#include <cstdlib>
#include <new>

namespace model::kernels {
namespace {

struct Piece {
  Piece() = default;
  Piece(const Piece&) = delete;
  float* floats = nullptr;
  std::int64_t size = 0;
  ~Piece() { std::free(floats); }
};

}  // namespace

float* scratch(Scratch whose, std::int64_t count) {
  constexpr std::size_t line = 64;
  thread_local std::array<Piece, static_cast<std::size_t>(Scratch::pass) + 1> pieces;
  Piece& piece = pieces.at(static_cast<std::size_t>(whose));
  if (count > piece.size) {
    std::free(piece.floats);
    piece.size = 0;
    const auto bytes = (static_cast<std::size_t>(count) * sizeof(float) + line - 1) / line * line;
    piece.floats = static_cast<float*>(std::aligned_alloc(line, bytes));
    if (!piece.floats) throw std::bad_alloc();
    piece.size = count;
  }
  return piece.floats;
}

}  // namespace model::kernels
