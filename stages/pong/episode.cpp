// episode: plays and renders.
#include "stages/pong/episode.h"

#include <span>
#include <stdexcept>
#include <string>

#include "stages/pong/random.h"

namespace pong {
namespace {

// Whether the next hit has frames_behind_hit behind it, and no point comes before the one after it.
bool shows_hits(Play play, int length) {
  int hits = 0;
  for (int frame = 1; frame < length && hits < 2; ++frame) {
    const StepResult result = play.simulator.step(play.policy.act(play.simulator.state));
    const bool is_hit = result.left_hit || result.right_hit;
    if (result.reward != 0 || (is_hit && hits == 0 && frame >= length - frames_behind_hit)) return false;
    hits += is_hit;
  }
  return hits > 0;
}

}  // namespace

Play start_of_episode(std::uint64_t seed, std::uint64_t k) {
  const std::uint64_t episode_seed = mix(seed, k);
  Play play{Simulator(mix(episode_seed, 0)), Policy(mix(episode_seed, 1))};
  for (std::uint64_t frames = mix(episode_seed, 2) % 512; frames > 0; --frames) {
    play.simulator.step(play.policy.act(play.simulator.state));
  }
  return play;
}

Play start_before_hit(std::uint64_t seed, std::uint64_t k, int length) {
  if (length <= frames_before_hit + frames_behind_hit) {
    throw std::invalid_argument("pong::start_before_hit: an episode of " + std::to_string(length) +
                                " frames has no room for a hit, " +
                                std::to_string(frames_before_hit + frames_behind_hit + 1) + " have");
  }
  constexpr std::uint64_t purpose = 0x686974ULL;  // "hit"; keeps it apart from the other episodes' seeds
  const std::uint64_t hit_seed = mix(mix(seed, k), purpose);
  Random random(mix(hit_seed, 0));
  // Whole units, up to play's fastest, and the columns of a ball that the right paddle has returned, whole ticks from
  // where the next paddle meets it.
  constexpr auto fastest = static_cast<int>(Court::ball_max_speed_y),
                 speed = static_cast<int>(Court::ball_speed_x),
                 right_end = static_cast<int>(Court::width - Court::ball_width), left_end = right_end % speed;
  constexpr int least_ticks = Court::ticks_per_frame * (frames_before_hit - 1);
  const int upwards = random.below(fastest + 1), downwards = random.below(fastest + 1);
  const auto ball_vy = static_cast<float>(upwards - downwards);
  const bool comes_from_left = random.below(2) == 0;
  // The paddles are drawn anew as well: there are places from which they meet no ball of that speed.
  for (std::uint64_t attempt = 0;; ++attempt) {
    Play play = start_of_episode(mix(hit_seed, 1), attempt);
    play.policy = Policy::at_random(mix(mix(hit_seed, 2), attempt));
    State& state = play.simulator.state;
    const int way = speed * (least_ticks + random.below(Court::ticks_per_frame * first_hit_frames));
    state.ball_x = static_cast<float>(comes_from_left ? right_end - way : left_end + way);
    state.ball_y = static_cast<float>(random.below(static_cast<int>(Court::height - Court::ball_height) + 1));
    state.ball_vx = comes_from_left ? Court::ball_speed_x : -Court::ball_speed_x;
    state.ball_vy = ball_vy;
    if (shows_hits(play, length)) return play;
  }
}

Episode make_episode(std::uint64_t seed, std::uint64_t k, const EpisodeParams& params) {
  if (params.length < 1 || params.size.height < 1 || params.size.width < 1) {
    throw std::invalid_argument("pong::make_episode: length, height and width must be at least 1, got " +
                                std::to_string(params.length) + ", " + std::to_string(params.size.height) +
                                " and " + std::to_string(params.size.width));
  }
  const auto length = static_cast<std::size_t>(params.length);
  const std::size_t frame_bytes = params.size.bytes();
  Episode episode;
  episode.frames.resize(length * frame_bytes);
  episode.actions.reserve(length);
  episode.rewards.reserve(length);

  Play play = params.shows_hit ? start_before_hit(seed, k, params.length) : start_of_episode(seed, k);
  const std::span<std::uint8_t> frames(episode.frames);
  for (std::size_t i = 0; i < length; ++i) {
    render(play.simulator.state, params.size, params.rendering, frames.subspan(i * frame_bytes, frame_bytes));
    const Action action = play.policy.act(play.simulator.state);
    episode.actions.push_back(action);
    episode.rewards.push_back(play.simulator.step(action).reward);
  }
  return episode;
}

}  // namespace pong
