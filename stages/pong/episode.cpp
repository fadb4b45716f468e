// episode: plays and renders.
#include "stages/pong/episode.h"

#include <span>
#include <stdexcept>
#include <string>

#include "stages/pong/random.h"

namespace pong {

namespace {

// Vertical speeds are whole numbers: a serve's plus spins, turned round at walls.
void scatter(State& state, Random random) {
  constexpr auto fastest = static_cast<int>(Court::ball_max_speed_y);
  state.ball_x = random.between(0, Court::width - Court::ball_width);
  state.ball_y = random.between(0, Court::height - Court::ball_height);
  state.ball_vx = random.below(2) == 0 ? Court::ball_speed_x : -Court::ball_speed_x;
  state.ball_vy = static_cast<float>(random.below(2 * fastest + 1) - fastest);
}

}  // namespace

Play start_of_episode(std::uint64_t seed, std::uint64_t k, Manner manner) {
  const std::uint64_t episode_seed = mix(seed, k);
  const auto aim = manner == Manner::daring ? Aim::edge : Aim::anywhere;
  Play play{Simulator(mix(episode_seed, 0)), Policy(mix(episode_seed, 1), aim)};
  for (std::uint64_t frames = mix(episode_seed, 2) % 512; frames > 0; --frames) {
    play.simulator.step(play.policy.act(play.simulator.state));
  }
  if (manner == Manner::scattered) scatter(play.simulator.state, Random(mix(episode_seed, 3)));
  return play;
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

  Play play = start_of_episode(seed, k, params.manner);
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
