// preview: films what the weights of a step dream, beside the simulator under the same actions.
//
// Every `every` steps, or when the stage is free again after that, a game is dreamed as in play, from real frames on,
// under a script of actions: always the same game, noise and script, so that two films differ by their weights alone.
// Where the script says none, the network goes on without an action, and the simulator stays.
//
//   samples/step-000500.mp4   dreamed on the left, simulated on the right, and over them what is pressed
//   samples/newest.mp4        a copy of the newest one
//
// The weights are the running mean where there is one. Training goes on meanwhile and shares the cores; it should come
// over an edge that drops (when_full: latest), so that it need not wait. A film that cannot be made is no reason to end
// a training: the log says why.
#include <spdlog/spdlog.h>
#include <torch/types.h>

#include <algorithm>
#include <filesystem>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "graph/stage.h"
#include "stages/data/pixels.h"
#include "stages/model/patch_embed.h"
#include "stages/model/weights_file.h"
#include "stages/play/actions.h"
#include "stages/play/dreamer.h"
#include "stages/play/image.h"
#include "stages/play/solvers.h"
#include "stages/play/video.h"
#include "stages/pong/episode.h"
#include "stages/pong/random.h"
#include "stages/types.h"

namespace stages {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t stay = 1;

struct Preview {
  struct Params {
    std::int64_t every = 500;
    std::string script = "30 stay, 60 up, 60 down, 30 none";
    int scale = 16;
    std::uint64_t seed = 0;
    std::string device = "auto";
    model::Config model;
  };

  void start(const graph::Context& context) {
    graph::require(context.run != nullptr, "preview needs a run folder");
    folder = context.run->folder() / "samples";
    filmed = static_cast<std::int64_t>(context.run->first());
    for (const auto& [frames, action] : script_of(params.script)) script.insert(script.end(), frames, action);
    size = {static_cast<int>(params.model.height), static_cast<int>(params.model.width)};
    if (background_of(params.model) == Background::zero) rendering = pong::Rendering::point;
    if (!can_dream())
      spdlog::warn("{}: this model cannot be played, so there are no previews", context.stage);
  }

  bool can_dream() const {
    return !params.model.bidirectional && params.model.in_channels == 3 &&
           params.model.n_actions > pong::action_count;
  }

  void operator()(const Snapshot& snapshot, const graph::Context& context) {
    newest = snapshot;
    if (snapshot.state->step - filmed >= params.every) film(context);
  }

  // The last weights too, of a run that was long enough for a film at all.
  void finish(const graph::Context& context) {
    if (films > 0 && newest.state->step > filmed) film(context);
  }

  void film(const graph::Context& context) {
    filmed = newest.state->step;
    if (!can_dream()) return;
    try {
      const auto dreamed = dream(context);
      if (context.stopping()) return;
      write(dreamed);
      ++films;
    } catch (const std::exception& error) {
      const std::string text = error.what();
      spdlog::warn("no preview of step {}: {}", filmed, text.substr(0, text.find('\n')));
    }
  }

  // The simulator's game in the middle of an episode of its own, and what the network is to remember of it.
  pong::Simulator begin(Start& start) const {
    auto play = pong::start_of_episode(pong::mix(params.seed, purpose), 0);
    const auto n = std::max<std::int64_t>(1, params.model.n_window - 1);
    start.frames = torch::empty({n, size.height, size.width, 3}, torch::kByte);
    start.action = torch::empty({n}, torch::kLong);
    auto* action = start.action.data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < n; ++i) {
      const auto pressed = play.policy.act(play.simulator.state);
      play.simulator.step(pressed);
      action[i] = 1 + static_cast<std::int64_t>(pressed);
      draw(play.simulator, start.frames[i]);
    }
    return play.simulator;
  }

  void draw(const pong::Simulator& simulator, const at::Tensor& frame) const {
    pong::render(simulator.state, size, rendering, {frame.data_ptr<std::uint8_t>(), size.bytes()});
  }

  // Each [2,H,W,3]: dreamed, simulated. Fewer when the run is stopped.
  std::vector<at::Tensor> dream(const graph::Context& context) const {
    const auto& state = *newest.state;
    fs::create_directories(folder);
    // A dreamer takes its weights from a file, as in play.
    const auto weights = folder / "preview.safetensors";
    model::save(weights, params.model, state.ema.empty() ? state.weights : state.ema);
    DreamParams dreaming;
    dreaming.checkpoint = weights.string();
    dreaming.seed = params.seed;
    dreaming.device = params.device;
    Dreamer dreamer;
    dreamer.start(dreaming, context);
    fs::remove(weights);

    Start start;
    auto simulator = begin(start);
    std::vector<at::Tensor> frames;
    for (std::size_t i = 0; i < script.size() && !context.stopping(); ++i) {
      Turn turn{.action = torch::full({1}, script[i], torch::kLong), .number = i};
      if (i == 0) turn.starts.push_back(start);
      const auto patches = dreamer.dream(dreaming, turn, context, euler);
      const auto values =
          model::unpatchify(patches.x, patches.height, patches.width, patches.patch_size)  // [1,1,C,H,W]
              .squeeze(1)
              .permute({0, 2, 3, 1});
      simulator.step(static_cast<pong::Action>(std::max(script[i], stay) - 1));
      const auto truth = torch::empty({1, size.height, size.width, 3}, torch::kByte);
      draw(simulator, truth);
      frames.push_back(at::cat({to_bytes(values, patches.background), truth}));
    }
    return frames;
  }

  void write(const std::vector<at::Tensor>& frames) const {
    Video video(folder / fmt::format("step-{:06}.mp4", filmed), 30);
    for (std::size_t i = 0; i < frames.size(); ++i) video.add(labelled(frames[i], i));
    video.publish();
    const auto copy = folder / "newest.part.mp4";
    fs::copy_file(video.path(), copy, fs::copy_options::overwrite_existing);
    fs::rename(copy, folder / "newest.mp4");
    spdlog::info("filmed {}", video.path().generic_string());
  }

  // Both, and a strip above each.
  cv::Mat labelled(const at::Tensor& pair, std::size_t frame) const {
    constexpr int strip = 32;
    const auto games = to_image({pair}, params.scale);
    cv::Mat image;
    // An even height: a video takes no other.
    cv::copyMakeBorder(games, image, strip + games.rows % 2, 0, 0, games.cols % 2, cv::BORDER_CONSTANT);
    const auto say = [&](const std::string& text, int column) {
      cv::putText(image, text, {column + 8, 22}, cv::FONT_HERSHEY_SIMPLEX, 0.5, {255, 255, 255}, 1,
                  cv::LINE_AA);
    };
    const auto action = script[frame];
    say(fmt::format("dreamed, step {}: {}", filmed, action_name(action)), 0);
    say(fmt::format("simulated: {}, {}", action_name(std::max(action, stay)), frame + 1), games.cols / 2);
    return image;
  }

  static constexpr std::uint64_t purpose =
      0x70726576696577ULL;  // "preview"; keeps it apart from training's seed
  Params params;
  fs::path folder;
  std::vector<std::int64_t> script;  // the action of each frame
  pong::ImageSize size;
  pong::Rendering rendering = pong::Rendering::area;
  Snapshot newest;
  std::int64_t filmed = 0;  // step of the last film
  std::int64_t films = 0;
};

using P = Preview::Params;
const bool registered =
    graph::Stage<Preview>("preview")
        .summary("film what the weights dream, beside the simulator")
        .in("snapshot", "weights of a step")
        .param("every", &P::every, "from one film to the next, at least", graph::at_least(1))
        .unit("steps")
        .live()
        .param("script", &P::script, "frames and action (none, stay, up, down), comma-separated")
        .param("scale", &P::scale, "video pixels for one of the frame", graph::between(1, 100))
        .shared("seed", &P::seed, "same seed, same game and noise")
        .shared("device", &P::device, "where to compute; auto takes a GPU when there is one", devices())
        .block("model", &P::model)
        .on(graph::Executor::thread)
        .writes()
        .add();

}  // namespace
}  // namespace stages
