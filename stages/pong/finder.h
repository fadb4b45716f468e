// finder: where ball and paddles are in a frame, to a fraction of a pixel.
//
// A pixel is taken for a mixture of what the renderer draws with: the ball's ink anywhere, a paddle's in the columns
// that it stands in,
//
//   pixel - background = b (ball - background) + p (paddle - background) + rest      b, p in [0,1], least squares
//
// which takes anti-aliasing back, where the ball touches a paddle too. Pixels of the same ink that touch each other,
// corners included, are a blob; its place is its centre of mass, its mass the sum of its shares, in pixels. On the
// simulator's own anti-aliased frames that is less than 0.2 pixels off: a box that covers half of a pixel weighs in
// at that pixel's centre.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "stages/pong/renderer.h"

namespace pong {

struct Spot {
  double row = 0, column = 0;  // pixels from the upper left corner of the image
  double mass = 0;             // pixels
};

struct Sight {
  std::optional<Spot> ball;  // the heaviest blob of a ball's mass
  int balls = 0;             // blobs of a ball's mass
  std::optional<Spot> left_paddle, right_paddle;
  int strange = 0;  // pixels of a colour that is far from every mixture
};

class Finder {
 public:
  /// Throws std::invalid_argument when a ball would be smaller than a pixel, below 20 x 17.
  Finder(ImageSize size, Rendering rendering);

  /// Of uint8 [height, width, 3]. Throws std::invalid_argument when the size is another one.
  Sight look(std::span<const std::uint8_t> rgb) const;

  /// What a whole ball covers, in pixels.
  double ball_area() const { return ball_area_; }
  /// Columns on each side that a paddle stands in.
  int paddle_columns() const { return static_cast<int>(left_end_); }
  /// Rows that a court unit takes.
  double rows_per_unit() const { return size_.height / double{Court::height}; }
  ImageSize size() const { return size_; }

 private:
  ImageSize size_;
  double ball_area_ = 0, least_ball_ = 0, most_ball_ = 0, least_paddle_ = 0;
  std::size_t left_end_ = 0, right_begin_ = 0;  // columns that paddles stand in: below, and from there on
};

}  // namespace pong
