// npy_clips: an endless source of clips from a dataset's frames.npy and actions.npy.
//
// An episode is cut into stretches of T+1 frames, side by side; what is left over at its end is not used. Of a
// stretch that begins at s, the clip is
//
//   frames  s+1 … s+T       action of clip frame i = 1 + actions[s+i], the action before it
//
// as in the reference. That takes the whole file for one episode, so that some of its clips jump from one game
// into another; here `episode` keeps games apart. Every clip comes once an epoch, in an order drawn for the epoch,
// and message n is a function of seed and n. What is held out comes from the end of the file, and of the episode in
// which that begins training sees nothing, unless that would cost it more than a tenth of the clips.
//
// The files stay on disk: memory holds the batch alone, whatever their size. rewards.npy may be missing.
#include <spdlog/spdlog.h>
#include <torch/types.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "graph/stage.h"
#include "stages/data/npy.h"
#include "stages/data/pixels.h"
#include "stages/model/config.h"
#include "stages/random.h"
#include "stages/types.h"

namespace stages {
namespace {

struct NpyClips {
  struct Params {
    std::string path;
    std::int64_t batch = 16;
    std::int64_t frames = 16;
    std::int64_t episode = 5400;
    std::int64_t held_out = 64;
    std::uint64_t seed = 0;
    model::Config model;
  };

  std::optional<HeldOut> start(const graph::Context& context) {
    if (params.path.empty())
      throw graph::Error("no dataset: name a folder with frames.npy and actions.npy, --set " + context.stage +
                         ".path=FOLDER; ./run pipelines/dataset.yaml makes one");
    const std::filesystem::path folder = params.path;
    pixels.emplace(folder / "frames.npy");
    actions.emplace(folder / "actions.npy");
    check_frames();
    check_length(*actions);
    check_actions();
    if (std::filesystem::exists(folder / "rewards.npy")) check_length(NpyFile(folder / "rewards.npy"));
    pixels->expect_jumps();

    const auto N = pixels->shape()[0], stretch = params.frames + 1;
    episode = params.episode == 0 ? N : std::min(params.episode, N);
    clips_an_episode = episode / stretch;
    if (clips_an_episode == 0)
      pixels->fail("an episode has " + std::to_string(episode) + " frames, expected at least " +
                   std::to_string(stretch) + " for a clip of " + std::to_string(params.frames) +
                   "; set a smaller " + context.stage + ".frames");
    clips = N / episode * clips_an_episode + N % episode / stretch;
    const auto all = clips, held_out = std::min(params.held_out, all / 10);
    clips -= held_out;
    // Whole episodes, where that costs training little.
    if (const auto whole = clips - clips % clips_an_episode; held_out > 0 && whole >= clips - all / 10)
      clips = whole;
    spdlog::info("{} clips of {} frames to train on, {} held out, in {} ({} frames)", clips, params.frames,
                 held_out, folder.generic_string(), N);
    if (held_out == 0) return std::nullopt;
    std::vector<std::int64_t> begins;
    for (std::int64_t i = 0; i < held_out; ++i)
      begins.push_back(begin_of_clip(clips + i * (all - clips) / held_out));
    return HeldOut{cut(begins)};
  }

  Clip operator()(const graph::Context& context) {
    std::vector<std::int64_t> begins;
    const auto first = context.number * static_cast<std::uint64_t>(params.batch);
    for (std::int64_t b = 0; b < params.batch; ++b)
      begins.push_back(begin_of_clip(drawn(first + static_cast<std::uint64_t>(b))));
    return cut(begins);
  }

  // The clips of the stretches that begin there.
  Clip cut(const std::vector<std::int64_t>& begins) {
    const auto B = static_cast<std::int64_t>(begins.size()), T = params.frames;
    const auto H = params.model.height, W = params.model.width, C = params.model.in_channels;
    for (const auto begin : begins) pixels->fetch((begin + 1) * H * W * C, T * H * W * C);
    const auto frames = torch::empty({B, T, H, W, C}, torch::kByte);
    const auto action = torch::empty({B, T}, torch::kLong);
    auto* to_frames = frames.data_ptr<std::uint8_t>();
    auto* to_action = action.data_ptr<std::int64_t>();
    for (const auto begin : begins) {
      const auto* from = reinterpret_cast<const std::uint8_t*>(pixels->data()) + (begin + 1) * H * W * C;
      to_frames = std::copy_n(from, T * H * W * C, to_frames);
      for (std::int64_t i = 0; i < T; ++i) *to_action++ = 1 + actions->integer(begin + i);
    }
    pixels->drop();
    const auto background = background_of(params.model);
    const auto values = from_bytes(frames, background).permute({0, 1, 4, 2, 3});  // [B,T,H,W,C] → [B,T,C,H,W]
    return {values.contiguous(), action, background};
  }

  // Which clip comes as number `n` since the first epoch began.
  std::int64_t drawn(std::uint64_t n) {
    const auto epoch = n / static_cast<std::uint64_t>(clips);
    if (epoch != order_epoch || !order.defined()) {
      order = torch::randperm(clips, generator(params.seed, epoch, "npy_clips"), torch::kLong);
      order_epoch = epoch;
    }
    return order.data_ptr<std::int64_t>()[n % static_cast<std::uint64_t>(clips)];
  }

  // The first frame of its stretch.
  std::int64_t begin_of_clip(std::int64_t clip) const {
    return clip / clips_an_episode * episode + clip % clips_an_episode * (params.frames + 1);
  }

  void check_frames() const {
    if (pixels->dtype() != "|u1")
      pixels->fail("its numbers are '" + pixels->dtype() + "', expected uint8; save array.astype('uint8')");
    pixels->require_dimensions(4, "[N,H,W,C]");
    const auto is = fmt::format("{}", fmt::join(pixels->shape().begin() + 1, pixels->shape().end(), " x "));
    const auto& model = params.model;
    const auto expected = fmt::format("{} x {} x {}", model.height, model.width, model.in_channels);
    if (is != expected)
      pixels->fail("its frames are " + is + ", expected " + expected +
                   "; set model.height, model.width and model.in_channels");
  }

  void check_length(const NpyFile& file) const {
    file.require_dimensions(1, "[N]");
    if (file.shape()[0] != pixels->shape()[0])
      file.fail(fmt::format("{} items, expected one for each of the {} frames of frames.npy", file.shape()[0],
                            pixels->shape()[0]));
  }

  void check_actions() const {
    actions->require_integers();
    const auto last = params.model.n_actions - 2;
    for (std::int64_t i = 0; i < actions->shape()[0]; ++i)
      if (const auto action = actions->integer(i); action < 0 || action > last)
        actions->fail(
            fmt::format("action {} is {}, expected 0 to {}; a game with more actions needs a larger "
                        "model.n_actions (one for none, one for each)",
                        i, action, last));
  }

  Params params;
  std::optional<NpyFile> pixels, actions;
  std::int64_t episode = 0, clips_an_episode = 0;
  std::int64_t clips = 0;  // to train on
  at::Tensor order;        // [clips], of order_epoch
  std::uint64_t order_epoch = 0;
};

using P = NpyClips::Params;
const bool registered =
    graph::Stage<NpyClips>("npy_clips")
        .summary("clips of a dataset in .npy files, shuffled anew every epoch")
        .out("clips", "frames [B,T,C,H,W] float32 in [-1,1], action [B,T] from 1 on")
        .out("held_out", "as many as held_out says, once, at the start")
        .param("path", &P::path, "the folder with frames.npy and actions.npy")
        .param("batch", &P::batch, "clips in a message, B", graph::between(1, 4096))
        .param("frames", &P::frames, "frames in a clip, T", graph::between(1, 4096))
        .param("episode", &P::episode,
               "frames from one game's start to the next's, which no clip spans; 0: one game",
               graph::at_least(0))
        .unit("frames")
        .param("held_out", &P::held_out, "clips for validation, never trained on; at most a tenth of all",
               graph::between(0, 4096))
        .shared("seed", &P::seed, "same seed, same order of clips")
        .block("model", &P::model)
        .add();

}  // namespace
}  // namespace stages
