// finder: unmixing and blobs.
#include "stages/pong/finder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace pong {
namespace {

using Ink = std::array<double, 3>;

constexpr Ink ink_of(const Colour& colour) {
  Ink ink{};
  for (std::size_t c = 0; c < 3; ++c) ink[c] = int{colour[c]} - int{Palette::background[c]};
  return ink;
}

constexpr double dot(const Ink& a, const Ink& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

constexpr Ink ball_ink = ink_of(Palette::ball), left_ink = ink_of(Palette::left_paddle),
              right_ink = ink_of(Palette::right_paddle);

// A blob has a pixel with at least this share of ink: every ball of the simulator has one, since it is larger than a
// pixel and so covers a quarter of one at least.
constexpr double strong = 0.2;
// It goes on to where ink is fainter than this, 20 shades: more than good dreams are off, and little enough that an
// edge left out moves the centre by a few hundredths of a pixel.
constexpr double faint = 0.08;
// The ball may hang out over floor and ceiling by a tick's way.
constexpr double least_ball_height = Court::ball_height - Court::ball_max_speed_y;
// Room for dreams: a ball that is a fifth too light, or half as heavy again. Two that touch are twice as heavy.
constexpr double too_light = 0.8, too_heavy = 1.5;
// The simulator shows half of a paddle at least.
constexpr double paddle_share = 0.25;
// A quarter of the range. The simulator's frames are within a shade of a mixture.
constexpr double strange_distance = 64;

struct Mixture {
  double ball = 0, paddle = 0;
  double rest = 0;  // shades
};

// `paddle` is the ink of the one that may be there, or null.
Mixture unmix(const Ink& pixel, const Ink* paddle) {
  constexpr double bb = dot(ball_ink, ball_ink);
  const double xb = dot(pixel, ball_ink);
  Mixture mixture{.ball = xb / bb};
  if (paddle) {
    const double pp = dot(*paddle, *paddle), bp = dot(ball_ink, *paddle), xp = dot(pixel, *paddle);
    const double det = bb * pp - bp * bp;
    mixture.ball = (xb * pp - xp * bp) / det;
    mixture.paddle = (xp * bb - xb * bp) / det;
    // Without the one that would count negative, the other is all.
    if (mixture.ball < 0) mixture.paddle = xp / pp;
    if (mixture.paddle < 0) mixture.ball = xb / bb;
  }
  mixture.ball = std::clamp(mixture.ball, 0.0, 1.0);
  mixture.paddle = std::clamp(mixture.paddle, 0.0, 1.0);
  double square = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    const double rest =
        pixel[c] - mixture.ball * ball_ink[c] - (paddle ? mixture.paddle * (*paddle)[c] : 0.0);
    square += rest * rest;
  }
  mixture.rest = std::sqrt(square);
  return mixture;
}

// Of one ink's shares, a pixel each.
std::vector<Spot> blobs(const std::vector<double>& ink, ImageSize size) {
  const auto width = static_cast<std::size_t>(size.width), height = static_cast<std::size_t>(size.height);
  std::vector<Spot> found;
  std::vector<bool> seen(ink.size());
  std::vector<std::size_t> open;
  for (std::size_t first = 0; first < ink.size(); ++first) {
    if (seen[first] || ink[first] < strong) continue;
    Spot blob;
    seen[first] = true;
    open.push_back(first);
    while (!open.empty()) {
      const auto pixel = open.back();
      open.pop_back();
      const auto row = pixel / width, column = pixel % width;
      blob.mass += ink[pixel];
      blob.row += ink[pixel] * (static_cast<double>(row) + 0.5);
      blob.column += ink[pixel] * (static_cast<double>(column) + 0.5);
      for (auto r = row > 0 ? row - 1 : row; r <= std::min(row + 1, height - 1); ++r) {
        for (auto c = column > 0 ? column - 1 : column; c <= std::min(column + 1, width - 1); ++c) {
          const auto next = r * width + c;
          if (seen[next] || ink[next] < faint) continue;
          seen[next] = true;
          open.push_back(next);
        }
      }
    }
    blob.row /= blob.mass;
    blob.column /= blob.mass;
    found.push_back(blob);
  }
  return found;
}

std::optional<Spot> heaviest(const std::vector<Spot>& spots, double least, double most) {
  std::optional<Spot> best;
  for (const auto& spot : spots)
    if (spot.mass >= least && spot.mass <= most && (!best || spot.mass > best->mass)) best = spot;
  return best;
}

}  // namespace

Finder::Finder(ImageSize size, Rendering rendering) : size_(size) {
  constexpr double scene_width = Court::width + 2 * Court::paddle_width;
  const double columns = size.width / scene_width, rows = rows_per_unit();
  const double width = Court::ball_width * columns, height = Court::ball_height * rows;
  if (width < 1 || height < 1)
    throw std::invalid_argument("pong::Finder: in frames of height " + std::to_string(size.height) +
                                " and width " + std::to_string(size.width) +
                                " the ball is smaller than a pixel; it takes 20 x 17 at least");
  ball_area_ = width * height;
  if (rendering == Rendering::area) {
    least_ball_ = too_light * width * least_ball_height * rows;
    most_ball_ = too_heavy * ball_area_;
  } else {
    // As many columns and rows as there are pixels' centres in it, and at an edge a row at least.
    least_ball_ = too_light * std::floor(width) * std::max(1.0, std::floor(least_ball_height * rows));
    most_ball_ = too_heavy * std::ceil(width) * std::ceil(height);
  }
  least_paddle_ = paddle_share * Court::paddle_width * columns * Court::paddle_height * rows;
  left_end_ = static_cast<std::size_t>(std::ceil(size.width * double{Court::paddle_width} / scene_width));
  right_begin_ = static_cast<std::size_t>(
      std::floor(size.width * double{Court::width + Court::paddle_width} / scene_width));
}

Sight Finder::look(std::span<const std::uint8_t> rgb) const {
  if (rgb.size() != size_.bytes())
    throw std::invalid_argument("pong::Finder::look: expected " + std::to_string(size_.bytes()) +
                                " bytes, got " + std::to_string(rgb.size()));
  const auto pixels = rgb.size() / 3, width = static_cast<std::size_t>(size_.width);
  std::vector<double> ball(pixels), left(pixels), right(pixels);
  Sight sight;
  for (std::size_t i = 0; i < pixels; ++i) {
    const auto ink = ink_of({rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]});
    if (ink == Ink{}) continue;
    const auto column = i % width;
    const Ink* paddle = column < left_end_ ? &left_ink : column >= right_begin_ ? &right_ink : nullptr;
    const auto mixture = unmix(ink, paddle);
    ball[i] = mixture.ball;
    if (paddle) (paddle == &left_ink ? left : right)[i] = mixture.paddle;
    if (mixture.rest > strange_distance) ++sight.strange;
  }
  const auto balls = blobs(ball, size_);
  sight.ball = heaviest(balls, least_ball_, most_ball_);
  for (const auto& blob : balls)
    if (blob.mass >= least_ball_ && blob.mass <= most_ball_) ++sight.balls;
  const auto any = static_cast<double>(pixels);
  sight.left_paddle = heaviest(blobs(left, size_), least_paddle_, any);
  sight.right_paddle = heaviest(blobs(right, size_), least_paddle_, any);
  return sight;
}

}  // namespace pong
