// renderer_test: where the ink goes, how much of it, and what it costs in colours.
#include "stages/pong/renderer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "tests/pong/scene.h"

namespace pong {
namespace {

using tests::scene;
using Image = std::vector<std::uint8_t>;

Image draw(const State& state, ImageSize size, Rendering rendering) {
  Image image(size.bytes(), 77);
  render(state, size, rendering, image);
  return image;
}

std::size_t first_byte(ImageSize size, int row, int column) {
  return (static_cast<std::size_t>(row) * static_cast<std::size_t>(size.width) +
          static_cast<std::size_t>(column)) *
         3;
}

Colour at(const Image& image, ImageSize size, int row, int column) {
  const std::size_t i = first_byte(size, row, column);
  return {image[i], image[i + 1], image[i + 2]};
}

// Apart, overlapping a paddle, and hanging out at each edge.
std::vector<State> scenes() {
  return {scene(285, 285, 200, 304), scene(101, 430, 333, 77),  scene(285, 285, -7, 300),
          scene(301, 280, 475, 290), scene(-35, 605, 250, -11), scene(605, -35, 17, 619),
          scene(-35, -35, -10, -13), scene(605, 605, 478, 621)};
}

// Area rendering without its arithmetic: point rendering at 2160 x 1920, where every edge of our integer
// scenes falls between two pixels, averaged over blocks.
std::vector<double> averaged(const State& state, ImageSize size) {
  const ImageSize fine{1920, 2160};
  const int rows = fine.height / size.height, columns = fine.width / size.width;
  const Image big = draw(state, fine, Rendering::point);
  std::vector<double> mean(size.bytes());
  for (int row = 0; row < size.height * rows; ++row) {
    for (int column = 0; column < size.width * columns; ++column) {
      for (std::size_t c = 0; c < 3; ++c) {
        mean[first_byte(size, row / rows, column / columns) + c] += big[first_byte(fine, row, column) + c];
      }
    }
  }
  for (double& value : mean) value /= rows * columns;
  return mean;
}

TEST(AreaRendering, IsTheMeanOfWhatAPixelCovers) {
  for (const ImageSize size : {ImageSize{}, ImageSize{10, 12}, ImageSize{1, 1}, ImageSize{64, 54}}) {
    for (const State& state : scenes()) {
      const Image image = draw(state, size, Rendering::area);
      const std::vector<double> expected = averaged(state, size);
      for (std::size_t i = 0; i < image.size(); ++i) {
        ASSERT_NEAR(image[i], expected[i], 0.501)
            << "byte " << i << ", ball " << state.ball_x << "," << state.ball_y << ", width " << size.width;
      }
    }
  }
}

TEST(AreaRendering, SpendsTheInkOfTheRectanglesAreas) {
  const ImageSize size;
  const Image image = draw(scene(100, 400, 251, 303), size, Rendering::area);
  const double pixel_area = 540.0 / 24 * 640 / 24;
  const double paddle = 20 * 70 / pixel_area, ball = 32 * 32 / pixel_area;
  double red = 0, green = 0, blue = 0;
  for (std::size_t i = 0; i < image.size(); i += 3) {
    red += image[i] - 6;
    green += image[i + 1] - 24;
    blue += image[i + 2] - 24;
  }
  // 17 pixels are touched, each rounded by up to half a shade.
  EXPECT_NEAR(red, paddle * (255 - 6) - paddle * 6 + ball * (255 - 6), 9);
  EXPECT_NEAR(green, -paddle * 24 + paddle * (255 - 24) + ball * (255 - 24), 9);
  EXPECT_NEAR(blue, green, 1e-9);
}

TEST(AreaRendering, AnswersToHalfAFrameOfMotion) {
  const ImageSize size;
  const Image before = draw(scene(285, 285, 200, 304), size, Rendering::area);
  EXPECT_NE(before, draw(scene(285, 285, 200, 305), size, Rendering::area)) << "the ball, by a unit";
  EXPECT_NE(before, draw(scene(285, 286, 200, 304), size, Rendering::area)) << "the right paddle, by a unit";
}

TEST(PointRendering, KnowsPaletteColoursOnly) {
  const std::vector<Colour> palette = {Palette::background, Palette::left_paddle, Palette::right_paddle,
                                       Palette::ball};
  const ImageSize size;
  for (const State& state : scenes()) {
    const Image image = draw(state, size, Rendering::point);
    for (int row = 0; row < size.height; ++row) {
      for (int column = 0; column < size.width; ++column) {
        EXPECT_TRUE(std::ranges::count(palette, at(image, size, row, column)) == 1);
      }
    }
  }
}

TEST(PointRendering, TakesTheColourAtThePixelsCentre) {
  const ImageSize one_to_one{640, 540};
  const Image image = draw(scene(100, 400, 250, 300), one_to_one, Rendering::point);
  const auto colour_at = [&](float x, float y) {  // court units
    return at(image, one_to_one, static_cast<int>(640 - y), static_cast<int>(20 + x));
  };
  EXPECT_EQ(colour_at(-19.5f, 100.5f), Palette::left_paddle);
  EXPECT_EQ(colour_at(-0.5f, 169.5f), Palette::left_paddle);
  EXPECT_EQ(colour_at(0.5f, 120.5f), Palette::background);
  EXPECT_EQ(colour_at(-0.5f, 170.5f), Palette::background);
  EXPECT_EQ(colour_at(-0.5f, 99.5f), Palette::background);
  EXPECT_EQ(colour_at(499.5f, 420.5f), Palette::background);
  EXPECT_EQ(colour_at(500.5f, 400.5f), Palette::right_paddle);
  EXPECT_EQ(colour_at(519.5f, 469.5f), Palette::right_paddle);
  EXPECT_EQ(colour_at(250.5f, 300.5f), Palette::ball);
  EXPECT_EQ(colour_at(281.5f, 331.5f), Palette::ball);
  EXPECT_EQ(colour_at(249.5f, 310.5f), Palette::background);
  EXPECT_EQ(colour_at(282.5f, 310.5f), Palette::background);
}

TEST(Rendering, ShowsThePaddleHigherAfterUpAndLowerAfterDown) {
  for (const Rendering rendering : {Rendering::area, Rendering::point}) {
    const auto centre_row = [&](Action action) {
      Simulator simulator(1);
      for (int i = 0; i < 8; ++i) simulator.step(action);
      const ImageSize size;
      const Image image = draw(simulator.state, size, rendering);
      double mass = 0, moment = 0;
      for (int row = 0; row < size.height; ++row) {
        const double ink = at(image, size, row, size.width - 1)[1] - 24;
        mass += ink;
        moment += ink * row;
      }
      return moment / mass;
    };
    const double stay = centre_row(Action::stay);
    const double rows = 8 * 16 * 24 / 640.0;  // 8 frames of 16 units
    EXPECT_NEAR(centre_row(Action::up), stay - rows, 0.6);
    EXPECT_NEAR(centre_row(Action::down), stay + rows, 0.6);
  }
}

TEST(Rendering, PutsRedLeftAndCyanRightAndNothingInTheCornersOfAServe) {
  const ImageSize size;
  for (const Rendering rendering : {Rendering::area, Rendering::point}) {
    const Image image = draw(Simulator(1).state, size, rendering);
    const Colour left = at(image, size, 12, 0), right = at(image, size, 12, 23);
    EXPECT_GT(left[0], 200);
    EXPECT_LT(left[1], 10);
    EXPECT_LT(right[0], 10);
    EXPECT_GT(right[1], 200);
    EXPECT_EQ(at(image, size, 0, 0), Palette::background);
    EXPECT_EQ(at(image, size, 23, 23), Palette::background);
  }
}

TEST(Rendering, IsSymmetricAboutTheMiddleOfTheCourt) {
  const ImageSize size;
  for (const Rendering rendering : {Rendering::area, Rendering::point}) {
    // Positions whose edges fall on no pixel centre, where a half-open rule would take sides.
    const State state = scene(121, 121, 130, 57);
    State mirrored = state;
    mirrored.ball_x = 500 - 32 - state.ball_x;
    State upside_down = scene(640 - 70 - 121, 640 - 70 - 121, 130, 640 - 32 - 57);
    const Image image = draw(state, size, rendering);
    const Image across = draw(mirrored, size, rendering);
    const Image down = draw(upside_down, size, rendering);
    for (int row = 0; row < 24; ++row) {
      for (int column = 0; column < 24; ++column) {
        const Colour pixel = at(image, size, row, column);
        for (std::size_t c = 0; c < 3; ++c) {
          EXPECT_NEAR(pixel[c], at(down, size, 23 - row, column)[c], 1) << row << "," << column;
          if (column == 0 || column == 23) continue;  // the paddles differ in colour
          EXPECT_NEAR(pixel[c], at(across, size, row, 23 - column)[c], 1) << row << "," << column;
        }
        const bool left_ink = at(image, size, row, 0) != Palette::background;
        const bool right_ink = at(image, size, row, 23) != Palette::background;
        EXPECT_EQ(left_ink, right_ink) << row;
      }
    }
  }
}

TEST(Rendering, CutsOffWhatHangsOut) {
  const ImageSize one_to_one{640, 540};
  for (const Rendering rendering : {Rendering::area, Rendering::point}) {
    const Image image = draw(scene(605, -35, 200, 300), one_to_one, rendering);
    std::ptrdiff_t red = 0, cyan = 0;
    for (int row = 0; row < 640; ++row) {
      for (int column = 0; column < 540; ++column) {
        red += at(image, one_to_one, row, column) == Palette::left_paddle;
        cyan += at(image, one_to_one, row, column) == Palette::right_paddle;
      }
    }
    EXPECT_EQ(red, 20 * 35);
    EXPECT_EQ(cyan, 20 * 35);
    EXPECT_EQ(at(image, one_to_one, 0, 0), Palette::left_paddle);
    EXPECT_EQ(at(image, one_to_one, 34, 0), Palette::left_paddle);
    EXPECT_EQ(at(image, one_to_one, 35, 0), Palette::background);
    EXPECT_EQ(at(image, one_to_one, 639, 539), Palette::right_paddle);
    EXPECT_EQ(at(image, one_to_one, 604, 539), Palette::background);
  }
}

TEST(Rendering, DrawsTheBallInFrontOfAPaddle) {
  const ImageSize one_to_one{640, 540};
  for (const Rendering rendering : {Rendering::area, Rendering::point}) {
    const Image image = draw(scene(285, 285, -8, 300), one_to_one, rendering);
    EXPECT_EQ(at(image, one_to_one, 640 - 310, 11), Palette::left_paddle);
    EXPECT_EQ(at(image, one_to_one, 640 - 310, 12), Palette::ball);
  }
}

TEST(Rendering, LooksTheSameWhereverTheBallFlies) {
  State there = scene(285, 285, 200, 304), back = there;
  there.ball_vx = 10;
  back.ball_vx = -10;
  back.left_score = 12;
  EXPECT_EQ(draw(there, {}, Rendering::area), draw(back, {}, Rendering::area));
}

TEST(Rendering, IsOfAnySize) {
  for (const ImageSize size : {ImageSize{1, 1}, ImageSize{7, 3}, ImageSize{3, 50}, ImageSize{96, 128}}) {
    for (const Rendering rendering : {Rendering::area, Rendering::point}) {
      for (const State& state : scenes()) EXPECT_EQ(draw(state, size, rendering).size(), size.bytes());
    }
  }
}

TEST(Rendering, RefusesABufferOfAnotherSize) {
  Image image(24 * 24 * 3 + 1);
  EXPECT_THROW(render(State{}, {}, Rendering::area, image), std::invalid_argument);
  EXPECT_THROW(render(State{}, {0, 24}, Rendering::area, {}), std::invalid_argument);
  image.pop_back();
  EXPECT_THROW(render(State{}, {-24, -24}, Rendering::area, image), std::invalid_argument);
  EXPECT_NO_THROW(render(State{}, {24, 24}, Rendering::area, image));
}

}  // namespace
}  // namespace pong
