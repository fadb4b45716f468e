// dreamer: games, guidance, commits, rebuilding, following.
#include "stages/play/dreamer.h"

#include <spdlog/spdlog.h>
#include <tbb/parallel_for.h>
#include <torch/types.h>

#include <algorithm>

#include "stages/data/pixels.h"
#include "stages/find_checkpoint.h"
#include "stages/model/patch_embed.h"
#include "stages/model/python_checkpoint.h"
#include "stages/model/weights_file.h"
#include "stages/random.h"

namespace stages {

namespace fs = std::filesystem;

namespace {

std::int64_t session_of(const Turn& turn, std::int64_t row) {
  return turn.players.empty() ? row : turn.players.at(static_cast<std::size_t>(row)).session;
}

at::Tensor renoised(const at::Tensor& x, double level, const at::Tensor& noise) {
  return (1 - level) * x + level * noise;
}

std::vector<at::Generator> generators(std::uint64_t seed, const Turn& turn) {
  std::vector<at::Generator> all;
  for (std::int64_t s = 0; s < turn.action.size(0); ++s)
    all.push_back(generator(seed, turn.number, "denoiser " + std::to_string(session_of(turn, s))));
  return all;
}

}  // namespace

void Dreamer::start(const DreamParams& params, const graph::Context& context) {
  path_ = find_checkpoint(params.checkpoint, context.stage + ".checkpoint");
  graph::require(!params.follow || fs::is_directory(params.checkpoint),
                 "follow: the checkpoint must be a run folder, whose newest weights can be followed");
  auto file = model::load_weights(path_, params.model);
  graph::require(!file.config.bidirectional,
                 "this model is bidirectional: it needs the frames to come, so it cannot be played");
  model::noise_levels(params,
                      params.steps);  // what does not go together is refused now, not at the first frame
  device_ = device_of(params.device);
  arena_.initialize(workers_of(device_));
  network_.emplace(file.config);
  weights_ = network_->pack(file.parameters.to(device_, at::kFloat));
  spdlog::info("playing {} ({} parameters)", path_.generic_string(), file.parameters.count());
}

Patches Dreamer::dream(const DreamParams& params, const Turn& turn, const graph::Context& context,
                       const Solver& solve) {
  const at::NoGradGuard no_gradients;
  if (params.follow) follow(params, context.stage);
  const auto& sizes = network_->config();
  const auto S = turn.action.size(0);
  const auto games = seat(turn);
  if (S == 0)
    return {torch::zeros({0, 1, sizes.patches(), sizes.patch_dim()}),
            turn.action.unsqueeze(1),
            sizes.height,
            sizes.width,
            sizes.patch_size,
            background_of(sizes)};
  const auto levels = model::noise_levels(params, params.steps);
  const bool guides = params.guidance != 1;
  const Moment moment{
      params, solve, levels, generators(params.seed, turn), guides, guides && params.guidance_cache == "own"};

  std::vector<model::KvCache*> guided, rows;
  for (std::size_t row = 0; row < games.size(); ++row) {
    auto& game = *games[row];
    if (moment.remembers_none != game.unguided.has_value()) {
      game.unguided.reset();
      if (moment.remembers_none) game.unguided.emplace(sizes, device_);
      game.stale |= moment.remembers_none;
    }
    if (game.stale) rebuild(game, moment, row);
    guided.push_back(&game.guided);
  }
  // With guidance, rows 0 … S-1 are the same players without their actions. They come first: of rows that share a
  // cache, what the last one wrote is what a commit keeps.
  auto action = known(turn.action).to(device_);
  if (moment.guides) {
    for (auto* game : games) rows.push_back(game->unguided ? &*game->unguided : &game->guided);
    action = at::cat({at::zeros_like(action), action});
  }
  rows.insert(rows.end(), guided.begin(), guided.end());
  const auto evaluate = [&](const at::Tensor& z, double level) {
    const auto x = moment.guides ? at::cat({z, z}) : z;
    const auto t = torch::full({x.size(0)}, level, x.options());
    const auto v = network_->velocity(predict(x, level, action, rows, S), x, t);
    if (!moment.guides) return v;
    const auto none = v.narrow(0, 0, S), act = v.narrow(0, S, S);
    return none + params.guidance * (act - none);
  };
  const auto draw = [&] { return noise(moment); };

  auto z = solve(evaluate, draw, levels);
  if (params.commit != "last_step") {
    if (params.quantize) z = from_pixels(to_pixels(z));
    if (!moment.remembers_none) {
      rows = guided;
      action = known(turn.action).to(device_);
    }
    const auto kept = params.commit == "clean" ? z : renoised(z, params.context_noise, noise(moment));
    const auto x = kept.repeat({static_cast<std::int64_t>(rows.size()) / S, 1, 1});
    predict(x, params.context_noise, action, rows, S);
  }
  // What the last evaluation wrote is still there.
  for (auto* game : games) {
    game->guided.commit(1);
    if (game->unguided) game->unguided->commit(1);
  }
  const auto frames = to_pixels(z);
  for (std::int64_t s = 0; s < S; ++s)
    remember(*games[static_cast<std::size_t>(s)], frames[s], known(turn.action)[s].item<std::int64_t>());
  return {z.unsqueeze(1).cpu(), turn.action.unsqueeze(1), sizes.height,
          sizes.width,          sizes.patch_size,         background_of(sizes)};
}

// [..., D] in (row, column, colour) order ↔ [..., p·p, C], as pixels are mapped.
at::Tensor Dreamer::to_pixels(const at::Tensor& x) const {
  const auto& sizes = network_->config();
  return to_bytes(x.unflatten(-1, {sizes.patch_size * sizes.patch_size, sizes.in_channels}),
                  background_of(sizes))
      .flatten(-2);
}

// Whoever asks for an action that the model does not have stays.
at::Tensor Dreamer::known(const at::Tensor& action) const {
  constexpr std::int64_t stay = 1;
  return action.masked_fill(action.lt(0).logical_or(action.ge(network_->config().n_actions)), stay);
}

at::Tensor Dreamer::from_pixels(const at::Tensor& bytes) const {
  const auto& sizes = network_->config();
  return from_bytes(bytes.unflatten(-1, {sizes.patch_size * sizes.patch_size, sizes.in_channels}),
                    background_of(sizes))
      .flatten(-2);
}

// The network's answers to all rows, R = players or twice that; row r is of player r mod players. Groups of players go
// to different cores. Their size follows from the number of players alone: so does, then, every last digit.
at::Tensor Dreamer::predict(const at::Tensor& x, double level, const at::Tensor& action,
                            const std::vector<model::KvCache*>& rows, std::int64_t players) {
  constexpr std::int64_t most_together = 8;
  const auto together = std::min(most_together, (players + 1) / 2),
             groups = (players + together - 1) / together;
  const auto copies = x.size(0) / players;
  const auto xs = x.unflatten(0, {copies, players}), actions = action.unflatten(0, {copies, players});
  std::vector<at::Tensor> answers(static_cast<std::size_t>(groups));
  const auto answer = [&](std::int64_t group) {
    const auto begin = group * together, size = std::min(together, players - begin);
    std::vector<model::KvCache*> caches;
    for (std::int64_t copy = 0; copy < copies; ++copy)
      for (std::int64_t s = begin; s < begin + size; ++s)
        caches.push_back(rows[static_cast<std::size_t>(copy * players + s)]);
    const auto mine = xs.narrow(1, begin, size).flatten(0, 1);
    const auto t = torch::full({mine.size(0)}, level, mine.options());
    answers[static_cast<std::size_t>(group)] =
        network_
            ->forward_cached(*weights_, mine, t, actions.narrow(1, begin, size).flatten(0, 1), caches, false)
            .unflatten(0, {copies, size});
  };
  // A group alone spreads its products over the cores.
  arena_.execute([&] { tbb::parallel_for(std::int64_t{0}, groups, answer); });
  return at::cat(answers, 1).flatten(0, 1);  // [copies,players,P,D] → [R,P,D]
}

// The games of a turn, in the order of its rows.
std::vector<Dreamer::Game*> Dreamer::seat(const Turn& turn) {
  const auto S = turn.action.size(0);
  graph::require(turn.players.empty() || static_cast<std::int64_t>(turn.players.size()) == S,
                 "a turn has an action for each player");
  std::vector<std::int64_t> sessions;
  for (std::int64_t s = 0; s < S; ++s) sessions.push_back(session_of(turn, s));
  std::erase_if(games_,
                [&](const auto& game) { return std::ranges::find(sessions, game.first) == sessions.end(); });
  std::vector<Game*> games;
  for (const auto session : sessions) {
    auto [game, is_new] =
        games_.try_emplace(session, Game{model::KvCache(network_->config(), device_), {}, {}, {}});
    games.push_back(&game->second);
  }
  for (const auto& start : turn.starts) {
    const auto game = games_.find(start.session);
    graph::require(game != games_.end(), "a game begins for a player who is not in the turn");
    begin(game->second, start);
  }
  return games;
}

// As if the game had been dreamed up to here.
void Dreamer::begin(Game& game, const Start& start) const {
  game.frames.clear();
  game.actions.clear();
  game.stale = true;
  if (!start.frames.defined()) return;
  const auto& sizes = network_->config();
  graph::require(start.frames.dim() == 4 && start.frames.scalar_type() == at::kByte &&
                     start.action.defined() && start.action.numel() == start.frames.size(0),
                 "a game begins with frames [n,H,W,C] uint8 and an action for each");
  const auto shape = start.frames.sizes();  // [n,H,W,C]
  if (shape[1] != sizes.height || shape[2] != sizes.width || shape[3] != sizes.in_channels)
    throw graph::Error(
        fmt::format("the game begins with frames of {} x {} x {}, but the model dreams {} x {} x {} "
                    "(height, width, colours); make them agree",
                    shape[1], shape[2], shape[3], sizes.height, sizes.width, sizes.in_channels));
  const auto x = model::patchify(start.frames.permute({0, 3, 1, 2}), sizes.patch_size).to(device_);
  for (std::int64_t i = 0; i < x.size(0); ++i) remember(game, x[i], start.action[i].item<std::int64_t>());
}

void Dreamer::remember(Game& game, const at::Tensor& frame, std::int64_t action) const {
  game.frames.push_back(frame);
  game.actions.push_back(action);
  if (static_cast<std::int64_t>(game.frames.size()) < network_->config().n_window) return;
  game.frames.pop_front();
  game.actions.pop_front();
}

void Dreamer::rebuild(Game& game, const Moment& moment, std::size_t row) const {
  game.stale = false;
  game.guided.reset();
  if (game.unguided) game.unguided->reset();
  if (game.frames.empty()) return;
  const auto& params = moment.params;
  const auto level = params.commit == "last_step" ? evaluated_levels(moment.solve, moment.levels).back()
                                                  : params.context_noise;
  const auto T = static_cast<std::int64_t>(game.frames.size());
  const auto frames = at::stack(std::vector<at::Tensor>(game.frames.begin(), game.frames.end())).unsqueeze(0);
  auto x = from_pixels(frames);  // [1,T,P,D]
  if (params.commit != "clean")
    x = renoised(x, level, torch::randn(x.sizes(), moment.random[row]).to(device_));
  const auto t = torch::full({1, T}, level, x.options());
  const auto action = torch::tensor(std::vector<std::int64_t>(game.actions.begin(), game.actions.end()))
                          .unsqueeze(0)
                          .to(device_);
  std::vector<model::KvCache*> cache{&game.guided};
  network_->prefill(*weights_, x, t, action, cache);
  if (!game.unguided) return;
  cache[0] = &*game.unguided;
  network_->prefill(*weights_, x, t, at::zeros_like(action), cache);
}

// [S,P,D], row by row, so that nobody's dream depends on who else plays.
at::Tensor Dreamer::noise(const Moment& moment) const {
  const auto& sizes = network_->config();
  std::vector<at::Tensor> rows;
  for (const auto& random : moment.random)
    rows.push_back(torch::randn({sizes.patches(), sizes.patch_dim()}, random));
  return at::stack(rows).to(device_);
}

// Looks once a second, and loads and packs beside the play: a frame waits for neither, only for games to be rebuilt.
void Dreamer::follow(const DreamParams& params, const std::string& stage) {
  const auto now = std::chrono::steady_clock::now();
  try {
    if (loading_.valid()) {
      if (loading_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
      weights_ = loading_.get();
      path_ = loading_path_;
      for (auto& [session, game] : games_) game.stale = true;
      spdlog::info("now playing {}", path_.generic_string());
    } else if (now - looked_ >= std::chrono::seconds(1)) {
      looked_ = now;
      const auto newest = find_checkpoint(params.checkpoint, stage + ".checkpoint");
      if (newest == path_) return;
      loading_path_ = newest;
      loading_ = std::async(std::launch::async, [newest, network = *network_, device = device_] {
        const auto file = model::load(newest);
        graph::require(file.config == network.config(), "its model is another than the one that is playing");
        return network.pack(file.parameters.to(device, at::kFloat));
      });
    }
  } catch (const std::exception& error) {
    // A run that was moved or broken ends no game; once is enough to say so.
    if (std::exchange(complaint_, error.what()) != error.what())
      spdlog::warn("cannot follow {}: {}", params.checkpoint, error.what());
  }
}

}  // namespace stages
