// renderer: draws a state of the court as an RGB image of any size.
//
// The picture shows the court and a paddle's width on each side, 540 x 640 court units, stretched to the
// image. Row 0 is the top: the court's y turned round. Layers from the back: background, paddles, ball; what
// hangs out of the picture is cut off. No text, and the ball is a plain square: a frame shows where things
// are, not how they move.
//
// Source: the colours and the order are those of PufferLib's Pong (see simulator.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "stages/pong/simulator.h"

namespace pong {

using Colour = std::array<std::uint8_t, 3>;  // red, green, blue

struct Palette {
  static constexpr Colour background = {6, 24, 24};
  static constexpr Colour left_paddle = {255, 0, 0};
  static constexpr Colour right_paddle = {0, 255, 255};
  static constexpr Colour ball = {255, 255, 255};
};

enum class Rendering : std::uint8_t {
  area,   // a pixel is the mean of what it covers, to the nearest of 256 shades
  point,  // a pixel is the colour at its centre: palette colours only
};

struct ImageSize {
  int height = 24, width = 24;  // pixels, at least 1

  constexpr std::size_t bytes() const {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3;
  }
  bool operator==(const ImageSize&) const = default;
};

// Writes uint8 [height, width, 3]. The cost is that of the pixels in sight of a paddle or the ball, and of a
// fill. Throws std::invalid_argument if the size is below 1 x 1 or `rgb` is not size.bytes() long.
void render(const State& state, ImageSize size, Rendering rendering, std::span<std::uint8_t> rgb);

}  // namespace pong
