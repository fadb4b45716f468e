// finder_test: places on the simulator's frames, and what is there that should not be.
#include "stages/pong/finder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "stages/pong/episode.h"
#include "stages/pong/random.h"
#include "tests/pong/scene.h"

namespace pong {
namespace {

using tests::scene;
using Image = std::vector<std::uint8_t>;

Image draw(const State& state, ImageSize size = {}, Rendering rendering = Rendering::area) {
  Image image(size.bytes());
  render(state, size, rendering, image);
  return image;
}

// The middle of what can be seen of a box.
double middle_row(double y, double height, ImageSize size) {
  const double rows = size.height / 640.0;
  return (std::max(0.0, 640 - y - height) + std::min(640.0, 640 - y)) / 2 * rows;
}
double ball_column(const State& state, ImageSize size) {
  return (double{state.ball_x} + 20 + 16) * size.width / 540;
}

// Paints over a rectangle of 24 x 24 pixels.
void paint(Image& image, int row, int column, int rows, int columns, const Colour& colour) {
  for (int r = row; r < row + rows; ++r)
    for (int c = column; c < column + columns; ++c)
      std::ranges::copy(colour, image.begin() + (static_cast<std::ptrdiff_t>(r) * 24 + c) * 3);
}

struct Farthest {
  double ball = 0, left = 0, right = 0;
};

// Over play, in which each is found, once, and no colour is strange.
Farthest farthest_in_play(ImageSize size, Rendering rendering) {
  const Finder finder(size, rendering);
  Farthest farthest;
  for (std::uint64_t k = 0; k < 20; ++k) {
    Play play = start_of_episode(7, k);
    for (int i = 0; i < 300; ++i) {
      play.simulator.step(play.policy.act(play.simulator.state));
      const State& state = play.simulator.state;
      const Sight sight = finder.look(draw(state, size, rendering));
      EXPECT_EQ(sight.strange, 0);
      EXPECT_EQ(sight.balls, 1) << "ball at " << state.ball_x << "," << state.ball_y;
      if (!sight.ball || !sight.left_paddle || !sight.right_paddle) {
        ADD_FAILURE() << "not found: episode " << k << ", frame " << i;
        return farthest;
      }
      farthest.ball = std::max(farthest.ball, std::hypot(sight.ball->row - middle_row(state.ball_y, 32, size),
                                                         sight.ball->column - ball_column(state, size)));
      farthest.left = std::max(farthest.left,
                               std::abs(sight.left_paddle->row - middle_row(state.left_paddle_y, 70, size)));
      farthest.right = std::max(
          farthest.right, std::abs(sight.right_paddle->row - middle_row(state.right_paddle_y, 70, size)));
    }
  }
  return farthest;
}

TEST(Finder, IsLessThanAFifthOfAPixelOffInPlay) {
  for (const ImageSize size : {ImageSize{}, ImageSize{48, 48}, ImageSize{30, 40}}) {
    const auto farthest = farthest_in_play(size, Rendering::area);
    EXPECT_LT(farthest.ball, 0.2) << size.width;
    EXPECT_LT(farthest.left, 0.2) << size.width;
    EXPECT_LT(farthest.right, 0.2) << size.width;
  }
}

TEST(Finder, FindsEachWithoutAntiAliasingToo) {
  // Pixels are on or off: half a pixel in each direction, and as much again where an edge cuts a row off.
  const auto farthest = farthest_in_play({}, Rendering::point);
  EXPECT_LT(farthest.ball, 1);
  EXPECT_LT(farthest.left, 1);
  EXPECT_LT(farthest.right, 1);
}

TEST(Finder, TellsTheBallFromThePaddleThatItTouches) {
  const Finder finder({}, Rendering::area);
  for (const float x : {468.0f, 0.0f, -2.0f}) {
    const State state = scene(290, 290, x, 309);
    const auto sight = finder.look(draw(state));
    ASSERT_TRUE(sight.ball && sight.left_paddle && sight.right_paddle) << x;
    EXPECT_EQ(sight.balls, 1) << x;
    EXPECT_NEAR(sight.ball->row, middle_row(309, 32, {}), 0.15) << x;
    EXPECT_NEAR(sight.ball->column, ball_column(state, {}), 0.15) << x;
    EXPECT_NEAR(sight.ball->mass, finder.ball_area(), 0.1) << x;
    EXPECT_NEAR(sight.left_paddle->row, middle_row(290, 70, {}), 0.15) << x;
    EXPECT_NEAR(sight.right_paddle->row, middle_row(290, 70, {}), 0.15) << x;
  }
}

TEST(Finder, CountsBallsByTheirMass) {
  const Finder finder({}, Rendering::area);
  const auto one = draw(scene(285, 285, 200, 304));
  auto two = one;
  paint(two, 3, 18, 1, 2, Palette::ball);
  EXPECT_EQ(finder.look(two).balls, 2);
  auto speck = one;
  paint(speck, 3, 18, 1, 1, {80, 90, 90});
  EXPECT_EQ(finder.look(speck).balls, 1);
  auto large = one;
  paint(large, 3, 16, 3, 3, Palette::ball);
  EXPECT_EQ(finder.look(large).balls, 1);
  auto none = one;
  paint(none, 8, 6, 8, 8, Palette::background);
  EXPECT_EQ(finder.look(none).balls, 0);
  EXPECT_FALSE(finder.look(none).ball);
}

TEST(Finder, MissesPaddlesThatAreNotThere) {
  const Finder finder({}, Rendering::area);
  auto image = draw(scene(285, 285, 200, 304));
  paint(image, 0, 23, 24, 1, Palette::background);
  EXPECT_FALSE(finder.look(image).right_paddle);
  EXPECT_TRUE(finder.look(image).left_paddle);
  paint(image, 0, 0, 24, 1, Palette::background);
  EXPECT_FALSE(finder.look(image).left_paddle);
}

TEST(Finder, CountsColoursThatNoMixtureGives) {
  const Finder finder({}, Rendering::area);
  auto image = draw(scene(285, 285, 200, 304));
  paint(image, 2, 10, 1, 3, {0, 255, 0});
  EXPECT_EQ(finder.look(image).strange, 3);
  // A paddle's colour away from its columns is as strange.
  paint(image, 5, 10, 1, 1, Palette::right_paddle);
  EXPECT_EQ(finder.look(image).strange, 4);
  // The ball's shades are not, anywhere.
  paint(image, 7, 10, 1, 1, {130, 140, 140});
  EXPECT_EQ(finder.look(image).strange, 4);
}

TEST(Finder, IsNotLedAstrayByNoiseOfSomeShades) {
  const Finder finder({}, Rendering::area);
  const State state = scene(100, 430, 300, 200);
  auto image = draw(state);
  Random random(3);
  for (auto& byte : image) byte = static_cast<std::uint8_t>(std::clamp(byte + random.below(21) - 10, 0, 255));
  const auto sight = finder.look(image);
  EXPECT_EQ(sight.balls, 1);
  EXPECT_EQ(sight.strange, 0);
  ASSERT_TRUE(sight.ball && sight.right_paddle);
  EXPECT_NEAR(sight.ball->row, middle_row(200, 32, {}), 0.3);
  EXPECT_NEAR(sight.ball->column, ball_column(state, {}), 0.3);
  EXPECT_NEAR(sight.right_paddle->row, middle_row(430, 70, {}), 0.3);
}

TEST(Finder, RefusesFramesInWhichABallIsNoPixel) {
  EXPECT_THROW(Finder({19, 24}, Rendering::area), std::invalid_argument);
  EXPECT_THROW(Finder({24, 16}, Rendering::area), std::invalid_argument);
  EXPECT_NO_THROW(Finder({20, 17}, Rendering::area));
  const Finder finder({}, Rendering::area);
  EXPECT_THROW(finder.look(Image(5)), std::invalid_argument);
}

}  // namespace
}  // namespace pong
