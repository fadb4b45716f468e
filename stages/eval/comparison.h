// comparison: the figures of dreamed episodes beside the simulator's, under the same actions.
//
// Horizon h is the h-th dreamed frame; frames 1 to 60 are early, those after them late. Places are those that the same
// finder sees in both frames (pong/finder.h), so that what it gets wrong, it gets wrong in both.
//
//   psnr_db              10 log10(255² / mean square error over the episodes' bytes); 100 stands for equal frames
//   psnr_db_copy_last    the same of the last frame that the network was shown: what dreaming nothing would get
//   control_accuracy     of the frames in which the simulator's right paddle moves, those in which the dreamed one
//                        moves the same way
//   paddle_error_px      mean distance between the right paddles; one that is not found is a frame's height away
//   action_delay_frames  median over changes of action that set the simulator's paddle moving a way that it did not go
//                        for 10 frames: how many frames later the dreamed one goes that way; at most 10
//   ball_error_px        median distance between the balls; one that is not found is a diagonal away
//   one_ball             frames with exactly one blob of a ball's mass
//   bounce_accuracy      of the simulator's bounces, at walls and paddles, those that are dreamed within a frame
//   serve_accuracy       of the episodes in which one of both serves, before the last frame, those in which both first
//                        do so within a frame
//
// A bounce is where the ball's way turns: over 9 frames, the simulator's bounce in the middle, its row (at a wall) or
// column (at a paddle) goes up to one frame and down after it, or the other way round. The dreamed ball must be found
// in 7 of the 9, turn within a frame of the simulator's, and have come and gone half to twice as far: a ball that is
// missed and served anew does not count as one that was hit. Bounces that turn by less than half a pixel on a side, or
// within 4 frames of the ends of what is compared, are not judged.
//
// A serve's slope is a coin, which no dream can know, and which decides what follows. So an episode is compared before
// the simulator's first serve, and counts for one_ball alone from there on: late figures are of the games that last.
// Paddles are put back into the middle by a serve, and no action did that: when the dream serves first, they are compared
// before that, and serve_accuracy counts the rest. A dream serves when its ball is where balls are served, and farther
// from where it was last seen than it could fly.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "stages/eval/figures.h"
#include "stages/pong/finder.h"

namespace stages {

/// A frame of an episode, dreamed and true, all uint8 [H,W,3].
struct FramePair {
  std::span<const std::uint8_t> dreamed, truth;
  std::span<const std::uint8_t> last;  // that the network was shown; the same in all of the episode
  std::int64_t action = 1;             // that led to this frame
  pong::StepResult step;               // of the simulator, on the way to this frame
};

/// Keeps sums and the last frames' places, no frames.
class Comparison {
 public:
  explicit Comparison(const pong::Finder& finder);

  /// The episode's next frame; episodes count from 0, and one that is new begins.
  void add(std::size_t episode, const FramePair& pair);

  /// Of all frames so far, in the order above.
  Figures figures() const;

 private:
  // What was found in a frame and its truth.
  struct Places {
    std::optional<pong::Spot> dreamed, truth;
    pong::StepResult step;
  };
  // A change of action that the dreamed paddle has not answered yet.
  struct Change {
    double direction;  // -1 or 1, in rows
    std::int64_t since;
  };
  struct Episode {
    std::int64_t horizon = 0;
    std::optional<std::int64_t> true_serve, dreamed_serve;  // the first
    std::optional<pong::Spot> dreamed_ball;                 // last seen,
    std::int64_t seen = 0;                                  // at that horizon
    bool has_judged_serve = false;
    std::optional<pong::Spot> dreamed_paddle, true_paddle;  // in the frame before
    std::optional<std::int64_t> action;                     // that led to it
    std::array<std::int64_t, 2> moved{};                    // when the true one last went up, down
    std::vector<Change> unanswered;
    std::deque<Places> balls;  // of the last frames
  };
  enum class Axis : std::uint8_t { row, column };

  void add_serve(Episode& episode, bool is_served, const std::optional<pong::Spot>& dreamed);
  void add_pixels(std::int64_t horizon, const FramePair& pair);
  void add_paddle(Episode& episode, const FramePair& pair, const pong::Sight& dreamed,
                  const pong::Sight& truth);
  void add_ball(Episode& episode, const pong::StepResult& step, const pong::Sight& dreamed,
                const pong::Sight& truth);
  void add_bounce(const std::deque<Places>& balls, Axis axis);

  pong::Finder finder_;
  pong::Spot serve_;  // where a ball is served
  std::vector<Episode> episodes_;
  std::map<std::int64_t, Mean> square_error_, square_error_copy_;  // by horizon
  std::array<Share, 2> control_, one_ball_;                        // early, late
  std::array<Mean, 2> paddle_error_;
  std::vector<double> delays_;
  std::map<std::int64_t, std::vector<double>> ball_error_;  // by horizon
  Share bounces_, serves_;
};

}  // namespace stages
