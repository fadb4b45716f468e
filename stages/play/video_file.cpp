// video_file: writes frames to a video.
//
// A .mp4 has large pixels, to look at; in a .mkv, which is lossless, each pixel is the one that was dreamed. The file
// has its name only when it is complete (video.h).
#include <spdlog/spdlog.h>

#include <filesystem>
#include <optional>

#include "graph/stage.h"
#include "stages/play/image.h"
#include "stages/play/rows.h"
#include "stages/play/video.h"
#include "stages/types.h"

namespace stages {
namespace {

struct VideoFile {
  struct Params {
    std::string path;
    double rate = 30;
    int scale = 0;
    std::int64_t session = -1, frames = 0;
  };

  void start(const graph::Context& context) {
    graph::require(!params.path.empty() || context.run != nullptr, "video_file needs a path");
    video.emplace(
        params.path.empty() ? context.run->folder() / "video.mp4" : std::filesystem::path(params.path),
        params.rate);
  }

  void operator()(const Frame& all, const graph::Context& context) {
    if (params.frames > 0 && video->frames() == params.frames) return;
    const auto frame = params.session < 0 ? std::optional(all) : of_session(all, params.session);
    if (!frame) return;
    const auto image = to_image(*frame, params.scale > 0 ? params.scale : video->is_lossless() ? 1 : 16);
    if (video->frames() > 0 && image.size() != video->size())
      throw graph::Error(fmt::format("{} players now, and a video keeps its size; choose one with session: N",
                                     frame->pixels.size(0)));
    video->add(image);
    if (video->frames() == params.frames) context.stop();
  }

  void finish() {
    if (!video || video->frames() == 0) return;
    video->publish();
    spdlog::info("wrote {} frames to {}", video->frames(), video->path().generic_string());
  }

  Params params;
  std::optional<Video> video;
};

using P = VideoFile::Params;
const bool registered =
    graph::Stage<VideoFile>("video_file")
        .summary("write frames to a video")
        .in("frame", "pixels [S,H,W,C] uint8")
        .param("path", &P::path, "where, *.mp4, or *.mkv without loss; empty: video.mp4 in the run's folder")
        .param("rate", &P::rate, "frames in a second of the video", graph::between(1, 1000))
        .unit("Hz")
        .param("scale", &P::scale, "video pixels for one of the frame; 0: 16 for mp4, 1 for mkv",
               graph::between(0, 100))
        .param("session", &P::session, "of the player to be seen; -1: all, side by side", graph::at_least(-1))
        .param("frames", &P::frames, "after which the run is stopped; 0: all that come", graph::at_least(0))
        .on(graph::Executor::thread)
        .writes()
        .add();

}  // namespace
}  // namespace stages
