// video: OpenCV's writer, and what it does not say.
#include "stages/play/video.h"

#include <string>
#include <utility>

#include "graph/error.h"

namespace stages {

Video::Video(std::filesystem::path path, double rate) : path_(std::move(path)), rate_(rate) {
  graph::require(is_lossless() || path_.extension() == ".mp4",
                 "path: expected a name that ends in .mp4, or in .mkv for a video without loss");
  if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path());
  part_ = path_;
  part_.replace_extension(".part" + path_.extension().string());
}

void Video::add(const cv::Mat& image) {
  if (!writer_.isOpened()) open(image.size());
  graph::require(image.size() == size_, "a video's images are all of one size");
  writer_.write(image);
  ++frames_;
}

void Video::open(cv::Size size) {
  size_ = size;
  // OpenCV would leave the last row or column out.
  if (size.width % 2 != 0 || size.height % 2 != 0)
    throw graph::Error("a video of " + std::to_string(size.width) + " x " + std::to_string(size.height) +
                       " pixels: expected even numbers; set an even scale");
  const int code = is_lossless() ? cv::VideoWriter::fourcc('F', 'F', 'V', '1')
                                 : cv::VideoWriter::fourcc('m', 'p', '4', 'v');
  if (!writer_.open(part_.string(), code, rate_, size))
    throw graph::Error("cannot write " + part_.generic_string());
}

void Video::publish() {
  writer_.release();
  // The writer is silent about a full disk; its own index, written last, is not there then.
  const auto written =
      static_cast<std::int64_t>(cv::VideoCapture(part_.string()).get(cv::CAP_PROP_FRAME_COUNT));
  if (written != frames_)
    throw graph::Error(part_.generic_string() + " holds " + std::to_string(written) + " of " +
                       std::to_string(frames_) + " frames; is the disk full?");
  std::filesystem::rename(part_, path_);
}

}  // namespace stages
