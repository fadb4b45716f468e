// video_file: writes frames to a video.
//
// The file has its name only when it is complete; until then it ends in .part.mp4.
#include <spdlog/spdlog.h>

#include <filesystem>
#include <opencv2/videoio.hpp>

#include "graph/stage.h"
#include "stages/play/image.h"
#include "stages/types.h"

namespace stages {
namespace {

struct VideoFile {
  struct Params {
    std::string path;
    double rate = 30;
    int scale = 16;
  };

  void start(const graph::Context& context) {
    path = params.path;
    if (path.empty()) {
      graph::require(context.run != nullptr, "video_file needs a path");
      path = context.run->folder() / "video.mp4";
    }
    graph::require(path.extension() == ".mp4", "path: expected a name that ends in .mp4");
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
    part = path;
    part.replace_extension(".part.mp4");
  }

  void operator()(const Frame& frame) {
    const auto image = to_image(frame, params.scale);
    if (!writer.isOpened() &&
        !writer.open(part.string(), cv::VideoWriter::fourcc('m', 'p', '4', 'v'), params.rate, image.size()))
      throw graph::Error("cannot write " + part.generic_string());
    writer.write(image);
    ++frames;
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
  cv::VideoWriter writer;
  std::int64_t frames = 0;
};

using P = VideoFile::Params;
const bool registered =
    graph::Stage<VideoFile>("video_file")
        .summary("write frames to a video")
        .in("frame", "pixels [S,H,W,C] uint8")
        .param("path", &P::path, "where, *.mp4; empty: video.mp4 in the run's folder")
        .param("rate", &P::rate, "frames in a second of the video", graph::between(1, 1000))
        .unit("Hz")
        .param("scale", &P::scale, "video pixels for one of the frame", graph::between(1, 100))
        .on(graph::Executor::thread)
        .writes()
        .add();

}  // namespace
}  // namespace stages
