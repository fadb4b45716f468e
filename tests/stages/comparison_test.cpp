// comparison_test: what nobody can know is no fault, and a serve that only one of both has is.
#include "stages/eval/comparison.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "stages/pong/episode.h"

namespace {

using pong::Simulator;

constexpr pong::ImageSize size{24, 24};
constexpr int games = 16, frames = 120, before = 64;

std::vector<std::uint8_t> picture(const Simulator& simulator) {
  std::vector<std::uint8_t> frame(size.bytes());
  pong::render(simulator.state, size, pong::Rendering::area, frame);
  return frame;
}

// Of games in which the dream is a simulator that throws coins of its own, and something happens to it after each frame.
stages::Figures compare(const std::function<void(Simulator& dream, int horizon)>& happens) {
  stages::Comparison comparison(pong::Finder(size, pong::Rendering::area));
  for (std::uint64_t k = 0; k < games; ++k) {
    auto play = pong::start_of_episode(1, k);
    for (int i = 0; i < before; ++i) play.simulator.step(play.policy.act(play.simulator.state));
    Simulator dream(1000 + k);
    dream.state = play.simulator.state;
    const auto last = picture(dream);
    for (int horizon = 1; horizon <= frames; ++horizon) {
      const auto action = play.policy.act(play.simulator.state);
      const auto step = play.simulator.step(action);
      dream.step(action);
      happens(dream, horizon);
      const auto dreamed = picture(dream), truth = picture(play.simulator);
      comparison.add(k, {dreamed, truth, last, 1 + static_cast<std::int64_t>(action), step});
    }
  }
  return comparison.figures();
}

TEST(Comparison, OtherCoinsAtTheServeAreNoFault) {
  const auto figures = compare([](Simulator&, int) {});
  for (const auto* horizon : {"1", "10", "30", "120"})
    EXPECT_EQ(figures.at("psnr_db").at(horizon).get<double>(), 100) << horizon;
  for (const auto* part : {"early", "late"}) {
    EXPECT_EQ(figures.at("control_accuracy").at(part).get<double>(), 1) << part;
    EXPECT_EQ(figures.at("paddle_error_px").at(part).get<double>(), 0) << part;
  }
  EXPECT_EQ(figures.at("ball_error_px").at("30").get<double>(), 0);
  EXPECT_EQ(figures.at("bounce_accuracy").get<double>(), 1);
  EXPECT_EQ(figures.at("serve_accuracy").get<double>(), 1);
}

TEST(Comparison, AServeOfTheDreamsOwnIsOneTooMany) {
  // As soon as the ball is far from where it is served, with the paddles put back as well.
  bool has_served = false;
  const auto figures = compare([&](Simulator& dream, int horizon) {
    if (horizon == 1) has_served = false;
    if (has_served || dream.state.ball_x < pong::Court::width / 2) return;
    dream.state = Simulator(7).state;
    has_served = true;
  });
  EXPECT_LT(figures.at("serve_accuracy").get<double>(), 0.2);
  EXPECT_LT(figures.at("bounce_accuracy").get<double>(), 0.6);
  // No action did that to the paddle.
  EXPECT_EQ(figures.at("control_accuracy").at("early").get<double>(), 1);
  EXPECT_EQ(figures.at("paddle_error_px").at("early").get<double>(), 0);
}

TEST(Comparison, ABallThatIsNeverServedAnewIsMissed) {
  const auto figures = compare([](Simulator& dream, int) {
    // Nothing gets past paddles that are always there.
    dream.state.left_paddle_y = dream.state.right_paddle_y =
        std::clamp(dream.state.ball_y, pong::Court::paddle_min_y, pong::Court::paddle_max_y);
  });
  EXPECT_LT(figures.at("serve_accuracy").get<double>(), 0.2);
}

}  // namespace
