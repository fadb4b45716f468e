// renderer: rectangles to pixels, by area or by point.
#include "stages/pong/renderer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

namespace pong {
namespace {

struct Box {
  float left, top, right, bottom;  // pixels, y downwards
};

Box intersection(const Box& a, const Box& b) {
  return {std::max(a.left, b.left), std::max(a.top, b.top), std::min(a.right, b.right),
          std::min(a.bottom, b.bottom)};
}

struct Shape {
  Box box;
  Colour colour;
};

// From the back to the front.
std::array<Shape, 3> shapes(const State& state, ImageSize size) {
  const float scale_x = static_cast<float>(size.width) / (Court::width + 2 * Court::paddle_width);
  const float scale_y = static_cast<float>(size.height) / Court::height;
  const auto box = [&](float x, float y, float width, float height) {
    return Box{(x + Court::paddle_width) * scale_x, (Court::height - y - height) * scale_y,
               (x + Court::paddle_width + width) * scale_x, (Court::height - y) * scale_y};
  };
  return {{
      {box(-Court::paddle_width, state.left_paddle_y, Court::paddle_width, Court::paddle_height),
       Palette::left_paddle},
      {box(Court::width, state.right_paddle_y, Court::paddle_width, Court::paddle_height),
       Palette::right_paddle},
      {box(state.ball_x, state.ball_y, Court::ball_width, Court::ball_height), Palette::ball},
  }};
}

void fill_background(std::span<std::uint8_t> rgb) {
  // Doubling copies run at memcpy's speed, which a loop over three bytes does not reach.
  std::ranges::copy(Palette::background, rgb.begin());
  for (std::size_t filled = 3; filled < rgb.size(); filled *= 2) {
    std::memcpy(rgb.data() + filled, rgb.data(), std::min(filled, rgb.size() - filled));
  }
}

std::uint8_t* pixel(std::span<std::uint8_t> rgb, ImageSize size, int row, int column) {
  return rgb.data() + (static_cast<std::ptrdiff_t>(row) * size.width + column) * 3;
}

// The share of the pixel-wide cell [cell, cell + 1] that [low, high] covers; 0 if high < low.
float coverage(float low, float high, int cell) {
  const auto start = static_cast<float>(cell);
  return std::max(0.0f, std::min(high, start + 1) - std::max(low, start));
}

// A colour that counts as often as its box covers a pixel: added to the background's.
struct Layer {
  Box box;
  std::array<float, 3> ink;
};

Layer layer(const Box& box, const Colour& colour, float sign) {
  Layer result{box, {}};
  for (std::size_t c = 0; c < 3; ++c) {
    result.ink[c] = sign * static_cast<float>(int{colour[c]} - int{Palette::background[c]});
  }
  return result;
}

void render_area(const std::array<Shape, 3>& shapes, ImageSize size, std::span<std::uint8_t> rgb) {
  const auto& [left, right, ball] = shapes;
  // Where the ball hides a paddle, the paddle's ink is taken back: the overlap of two boxes is a box, so a
  // sum of separable coverages is exact.
  const std::array<Layer, 5> layers = {layer(left.box, left.colour, 1), layer(right.box, right.colour, 1),
                                       layer(ball.box, ball.colour, 1),
                                       layer(intersection(left.box, ball.box), left.colour, -1),
                                       layer(intersection(right.box, ball.box), right.colour, -1)};

  // Two shapes may share a pixel. It is then written twice, each time with the sum over all layers.
  for (const Shape& shape : shapes) {
    const int first_row = std::max(0, static_cast<int>(std::floor(shape.box.top)));
    const int last_row = std::min(size.height, static_cast<int>(std::ceil(shape.box.bottom)));
    const int first_column = std::max(0, static_cast<int>(std::floor(shape.box.left)));
    const int last_column = std::min(size.width, static_cast<int>(std::ceil(shape.box.right)));
    for (int row = first_row; row < last_row; ++row) {
      std::array<float, layers.size()> of_row;
      for (std::size_t i = 0; i < layers.size(); ++i) {
        of_row[i] = coverage(layers[i].box.top, layers[i].box.bottom, row);
      }
      std::uint8_t* out = pixel(rgb, size, row, first_column);
      for (int column = first_column; column < last_column; ++column) {
        // Half a shade, so that the cast rounds.
        std::array<float, 3> sum;
        for (std::size_t c = 0; c < 3; ++c) sum[c] = static_cast<float>(Palette::background[c]) + 0.5f;
        for (std::size_t i = 0; i < layers.size(); ++i) {
          const float share = of_row[i] * coverage(layers[i].box.left, layers[i].box.right, column);
          for (std::size_t c = 0; c < 3; ++c) sum[c] += share * layers[i].ink[c];
        }
        for (std::size_t c = 0; c < 3; ++c) *out++ = static_cast<std::uint8_t>(sum[c]);
      }
    }
  }
}

// The first pixel whose centre is not before `edge`.
int first_centre(float edge) { return static_cast<int>(std::ceil(edge - 0.5f)); }

void render_point(const std::array<Shape, 3>& shapes, ImageSize size, std::span<std::uint8_t> rgb) {
  for (const Shape& shape : shapes) {
    const int last_row = std::min(size.height, first_centre(shape.box.bottom));
    const int first_column = std::max(0, first_centre(shape.box.left));
    const int last_column = std::min(size.width, first_centre(shape.box.right));
    for (int row = std::max(0, first_centre(shape.box.top)); row < last_row; ++row) {
      std::uint8_t* out = pixel(rgb, size, row, first_column);
      for (int column = first_column; column < last_column; ++column) {
        out = std::ranges::copy(shape.colour, out).out;
      }
    }
  }
}

}  // namespace

void render(const State& state, ImageSize size, Rendering rendering, std::span<std::uint8_t> rgb) {
  if (size.height < 1 || size.width < 1 || rgb.size() != size.bytes()) {
    throw std::invalid_argument("pong::render: an image of height " + std::to_string(size.height) +
                                " and width " + std::to_string(size.width) +
                                " (both at least 1) needs height * width * 3 bytes, got " +
                                std::to_string(rgb.size()));
  }
  fill_background(rgb);
  const auto scene = shapes(state, size);
  if (rendering == Rendering::area) {
    render_area(scene, size, rgb);
  } else {
    render_point(scene, size, rgb);
  }
}

}  // namespace pong
