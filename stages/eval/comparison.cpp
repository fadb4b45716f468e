// comparison: pixels, paddle, ball and bounces of each pair of frames.
#include "stages/eval/comparison.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <string>

namespace stages {
namespace {

using pong::Spot;

constexpr std::array<std::int64_t, 4> psnr_horizons{1, 10, 30, 120}, ball_horizons{5, 10, 20, 30};
constexpr std::int64_t early_frames = 60;
constexpr double best_psnr = 100;

// Shares of a paddle's way in a frame. A paddle that leaves the picture at full speed is seen to move half of that way,
// so it counts; one that comes to its limit may not. The dream gets away with half as much, which is still some times
// more than the wobble of a paddle that stands.
constexpr double moves = 0.4, answers = 0.2;
constexpr std::int64_t longest_delay = 10;  // a third of a second: no answer

constexpr std::size_t bounce_half = 4, bounce_frames = 2 * bounce_half + 1;
constexpr std::ptrdiff_t least_found = 7;
constexpr double least_turn = 0.5;                       // px on a side, some times the finder's error
constexpr double nearest_turn = 0.5, farthest_turn = 2;  // times the truth's
constexpr std::ptrdiff_t bounce_tolerance = 1;
constexpr double serve_tolerance = 40;  // court units

std::size_t part_of(std::int64_t horizon) { return horizon > early_frames ? 1 : 0; }

double square_error(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int off = int{a[i]} - int{b[i]};
    sum += off * off;
  }
  return static_cast<double>(sum) / static_cast<double>(a.size());
}

Figures psnr(const std::map<std::int64_t, Mean>& errors) {
  auto figure = Figures::object();
  for (const auto horizon : psnr_horizons) {
    const auto error = errors.find(horizon);
    figure[std::to_string(horizon)] = nullptr;
    if (error == errors.end()) continue;
    const auto mean = error->second.sum / static_cast<double>(error->second.of);
    figure[std::to_string(horizon)] =
        mean > 0 ? std::min(best_psnr, 10 * std::log10(255 * 255 / mean)) : best_psnr;
  }
  return figure;
}

template <class Sum>
Figures early_and_late(const std::array<Sum, 2>& sums) {
  return {{"early", sums[0].figure()}, {"late", sums[1].figure()}};
}

// Rows that a paddle went, if it was seen before and after.
std::optional<double> way(const std::optional<Spot>& before, const std::optional<Spot>& now) {
  if (!before || !now) return std::nullopt;
  return now->row - before->row;
}

double distance(const Spot& a, const Spot& b) { return std::hypot(a.row - b.row, a.column - b.column); }

// Where a ball's way turns.
struct Bend {
  std::ptrdiff_t at = 0;
  double coming = 0, going = 0;  // px on each side of it
};

// The highest of sign · places, in whose neighbourhood both ends are lower. Nothing when too few are known, or when
// the highest is at an end.
std::optional<Bend> bend_of(const std::vector<std::optional<double>>& places, double sign) {
  const auto known = [](const auto& place) { return place.has_value(); };
  if (std::ranges::count_if(places, known) < least_found) return std::nullopt;
  const auto first = std::ranges::find_if(places, known);
  const auto last = std::prev(std::find_if(places.rbegin(), places.rend(), known).base());
  auto top = first;
  for (auto place = first; place != places.end(); ++place)
    if (*place && sign * **place > sign * **top) top = place;
  if (top == first || top == last) return std::nullopt;
  return Bend{top - places.begin(), sign * (**top - **first), sign * (**top - **last)};
}

bool is_near(double dreamed, double truth) {
  return dreamed >= nearest_turn * truth && dreamed <= farthest_turn * truth;
}

}  // namespace

Comparison::Comparison(const pong::Finder& finder) : finder_(finder) {
  std::vector<std::uint8_t> frame(finder.size().bytes());
  pong::render(pong::Simulator(0).state, finder.size(), pong::Rendering::area, frame);
  serve_ = finder.look(frame).ball.value();
}

void Comparison::add(std::size_t number, const FramePair& pair) {
  if (number >= episodes_.size()) episodes_.resize(number + 1);
  auto& episode = episodes_[number];
  if (++episode.horizon == 1) {
    const auto last = finder_.look(pair.last);
    episode.dreamed_paddle = episode.true_paddle = last.right_paddle;
    episode.dreamed_ball = last.ball;
  }
  const auto dreamed = finder_.look(pair.dreamed), truth = finder_.look(pair.truth);
  one_ball_[part_of(episode.horizon)].add(dreamed.balls == 1);
  add_serve(episode, pair.step.reward != 0, dreamed.ball);
  if (episode.true_serve) return;
  add_pixels(episode.horizon, pair);
  add_ball(episode, pair.step, dreamed, truth);
  if (!episode.dreamed_serve) add_paddle(episode, pair, dreamed, truth);
}

// A ball that is farther from where it was last seen than it could fly did not fly there.
void Comparison::add_serve(Episode& episode, bool is_served, const std::optional<Spot>& dreamed) {
  if (is_served && !episode.true_serve) episode.true_serve = episode.horizon;
  if (dreamed) {
    using pong::Court;
    const auto units = [&](const Spot& a) { return distance(*dreamed, a) / finder_.rows_per_unit(); };
    const double frames = static_cast<double>(episode.horizon - episode.seen),
                 flight = frames * Court::ticks_per_frame *
                          std::hypot(Court::ball_speed_x, Court::ball_max_speed_y);
    if (!episode.dreamed_serve && episode.dreamed_ball && units(serve_) < serve_tolerance &&
        units(*episode.dreamed_ball) > 1.5 * flight)
      episode.dreamed_serve = episode.horizon;
    episode.dreamed_ball = dreamed;
    episode.seen = episode.horizon;
  }
  if (episode.has_judged_serve) return;
  const auto both = episode.true_serve && episode.dreamed_serve;
  const auto first =
      std::min(episode.true_serve.value_or(episode.horizon), episode.dreamed_serve.value_or(episode.horizon));
  if (!both && episode.horizon <= first) return;  // the other one may serve in the next frame
  serves_.add(both);
  episode.has_judged_serve = true;
}

void Comparison::add_pixels(std::int64_t horizon, const FramePair& pair) {
  if (std::ranges::find(psnr_horizons, horizon) == psnr_horizons.end()) return;
  square_error_[horizon].add(square_error(pair.dreamed, pair.truth));
  square_error_copy_[horizon].add(square_error(pair.last, pair.truth));
}

void Comparison::add_paddle(Episode& episode, const FramePair& pair, const pong::Sight& dreamed,
                            const pong::Sight& truth) {
  const auto part = part_of(episode.horizon);
  const double full = pong::Court::paddle_speed * pong::Court::ticks_per_frame * finder_.rows_per_unit();
  if (truth.right_paddle)
    paddle_error_[part].add(dreamed.right_paddle
                                ? std::abs(dreamed.right_paddle->row - truth.right_paddle->row)
                                : finder_.size().height);

  const auto true_way = way(episode.true_paddle, truth.right_paddle),
             dreamed_way = way(episode.dreamed_paddle, dreamed.right_paddle);
  const auto goes = [&](double direction) {
    return dreamed_way && *dreamed_way * direction >= answers * full;
  };
  if (true_way && std::abs(*true_way) >= moves * full) {
    const double direction = *true_way > 0 ? 1 : -1;
    control_[part].add(goes(direction));
    auto& moved = episode.moved[direction > 0 ? 1 : 0];
    // A paddle that comes and goes may be late by so much that it looks early.
    if (episode.action && *episode.action != pair.action && episode.horizon - moved > longest_delay)
      episode.unanswered.push_back({direction, episode.horizon});
    moved = episode.horizon;
  }
  std::erase_if(episode.unanswered, [&](const Change& change) {
    const auto delay = episode.horizon - change.since;
    if (!goes(change.direction) && delay < longest_delay) return false;
    delays_.push_back(static_cast<double>(delay));
    return true;
  });
  episode.dreamed_paddle = dreamed.right_paddle;
  episode.true_paddle = truth.right_paddle;
  episode.action = pair.action;
}

void Comparison::add_ball(Episode& episode, const pong::StepResult& step, const pong::Sight& dreamed,
                          const pong::Sight& truth) {
  episode.balls.push_back({dreamed.ball, truth.ball, step});
  if (episode.balls.size() > bounce_frames) episode.balls.pop_front();
  if (truth.ball && std::ranges::find(ball_horizons, episode.horizon) != ball_horizons.end())
    ball_error_[episode.horizon].push_back(dreamed.ball
                                               ? distance(*dreamed.ball, *truth.ball)
                                               : std::hypot(finder_.size().height, finder_.size().width));
  if (episode.balls.size() < bounce_frames) return;
  const auto& bounce = episode.balls[bounce_half].step;
  if (bounce.wall_bounce) add_bounce(episode.balls, Axis::row);
  if (bounce.left_hit || bounce.right_hit) add_bounce(episode.balls, Axis::column);
}

void Comparison::add_bounce(const std::deque<Places>& balls, Axis axis) {
  std::vector<std::optional<double>> dreamed, truth;
  const auto place = [&](const std::optional<Spot>& ball) {
    return ball ? std::optional(axis == Axis::row ? ball->row : ball->column) : std::nullopt;
  };
  for (const auto& each : balls) {
    dreamed.push_back(place(each.dreamed));
    truth.push_back(place(each.truth));
  }
  if (!truth.front() || !truth[bounce_half]) return;
  const double sign = *truth[bounce_half] > *truth.front() ? 1 : -1;
  const auto turn = bend_of(truth, sign);
  if (!turn || turn->coming < least_turn || turn->going < least_turn) return;
  const auto answer = bend_of(dreamed, sign);
  bounces_.add(answer && std::abs(answer->at - turn->at) <= bounce_tolerance &&
               is_near(answer->coming, turn->coming) && is_near(answer->going, turn->going));
}

Figures Comparison::figures() const {
  Figures figures;
  figures["psnr_db"] = psnr(square_error_);
  figures["psnr_db_copy_last"] = psnr(square_error_copy_);
  figures["control_accuracy"] = early_and_late(control_);
  figures["paddle_error_px"] = early_and_late(paddle_error_);
  figures["action_delay_frames"] = median(delays_);
  for (const auto horizon : ball_horizons) {
    const auto errors = ball_error_.find(horizon);
    figures["ball_error_px"][std::to_string(horizon)] =
        errors == ball_error_.end() ? Figures() : median(errors->second);
  }
  figures["one_ball"] = early_and_late(one_ball_);
  figures["bounce_accuracy"] = bounces_.figure();
  figures["serve_accuracy"] = serves_.figure();
  return figures;
}

}  // namespace stages
