// pixels: the maps between bytes and [-1,1].
#include "stages/data/pixels.h"

#include <torch/types.h>

#include "graph/error.h"
#include "stages/pong/renderer.h"

namespace stages {
namespace {

// [3], of the kind and on the device of `like`
at::Tensor background_colour(const at::Tensor& like) {
  graph::require(like.dim() > 0 && like.size(-1) == 3, "background zero needs pixels of 3 colours");
  const auto& [red, green, blue] = pong::Palette::background;
  return torch::tensor({red, green, blue}, like.options());
}

}  // namespace

Background background_of(const model::Config& config) {
  return config.background == "zero" ? Background::zero : Background::linear;
}

at::Tensor from_bytes(const at::Tensor& bytes, Background background) {
  const auto values = bytes.to(at::kFloat).div_(127.5).sub_(1);
  if (background == Background::linear) return values;
  return values.masked_fill_(bytes.eq(background_colour(bytes)).all(-1, true), 0);
}

at::Tensor to_bytes(const at::Tensor& values, Background background) {
  const auto bytes = ((values + 1) * 127.5).round_().clamp_(0, 255).to(at::kByte);
  if (background == Background::linear) return bytes;
  // Of the bytes, not of the values, so that doing it twice is doing it once.
  const auto near_zero = bytes.ge(64).logical_and_(bytes.le(191)).all(-1, true);
  return at::where(near_zero, background_colour(bytes), bytes);
}

}  // namespace stages
