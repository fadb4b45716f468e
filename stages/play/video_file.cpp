// video_file: writes frames to a video.
//
//   .mp4   MPEG-4, large pixels: to look at
//   .mkv   FFV1, a lossless code, in BGR: each pixel is the one that was dreamed
//
// The file has its name only when it is complete; until then it ends in .part.mp4 or .part.mkv.
#include <spdlog/spdlog.h>

#include <filesystem>
#include <opencv2/videoio.hpp>

#include "graph/stage.h"
#include "stages/play/image.h"
#include "stages/play/rows.h"
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
    path = params.path;
    if (path.empty()) {
      graph::require(context.run != nullptr, "video_file needs a path");
      path = context.run->folder() / "video.mp4";
    }
    lossless = path.extension() == ".mkv";
    graph::require(lossless || path.extension() == ".mp4",
                   "path: expected a name that ends in .mp4, or in .mkv for a video without loss");
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
    part = path;
    part.replace_extension(".part" + path.extension().string());
  }

  void operator()(const Frame& all, const graph::Context& context) {
    if (params.frames > 0 && frames == params.frames) return;
    const auto frame = params.session < 0 ? std::optional(all) : of_session(all, params.session);
    if (!frame) return;
    const auto image = to_image(*frame, params.scale > 0 ? params.scale : lossless ? 1 : 16);
    if (!writer.isOpened()) open(image.size());
    if (image.size() != size)
      throw graph::Error(fmt::format("{} players now, and a video keeps its size; choose one with session: N",
                                     frame->pixels.size(0)));
    writer.write(image);
    if (++frames == params.frames) context.stop();
  }

  void open(cv::Size first) {
    size = first;
    // OpenCV would leave the last row or column out.
    if (size.width % 2 != 0 || size.height % 2 != 0)
      throw graph::Error(fmt::format("a video of {} x {} pixels: expected even numbers; set an even scale",
                                     size.width, size.height));
    const int code =
        lossless ? cv::VideoWriter::fourcc('F', 'F', 'V', '1') : cv::VideoWriter::fourcc('m', 'p', '4', 'v');
    if (!writer.open(part.string(), code, params.rate, size))
      throw graph::Error("cannot write " + part.generic_string());
  }

  void finish() {
    if (frames == 0) return;
    writer.release();
    // The writer is silent about a full disk; its own index, written last, is not there then.
    const auto written =
        static_cast<std::int64_t>(cv::VideoCapture(part.string()).get(cv::CAP_PROP_FRAME_COUNT));
    if (written != frames)
      throw graph::Error(part.generic_string() + " holds " + std::to_string(written) + " of " +
                         std::to_string(frames) + " frames; is the disk full?");
    std::filesystem::rename(part, path);
    spdlog::info("wrote {} frames to {}", frames, path.generic_string());
  }

  Params params;
  std::filesystem::path path, part;
  bool lossless = false;
  cv::VideoWriter writer;
  cv::Size size;
  std::int64_t frames = 0;
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
