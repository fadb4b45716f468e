// video: images as a film, in a file that has its name only when it is whole.
//
//   .mp4   MPEG-4: to look at
//   .mkv   FFV1, a lossless code, in BGR: each pixel is the one that was given
//
// Until then the name ends in .part.mp4 or .part.mkv.
#pragma once

#include <cstdint>
#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <opencv2/videoio.hpp>

namespace stages {

/// Throws graph::Error with what is wrong and what to do.
class Video {
 public:
  /// Makes the folder, and no file before the first image.
  Video(std::filesystem::path path, double rate);

  /// BGR, all of the first one's size, whose sides are even.
  void add(const cv::Mat& image);

  /// Makes sure that all is on disk, and gives the file its name. Once, after at least one image.
  void publish();

  const std::filesystem::path& path() const { return path_; }
  bool is_lossless() const { return path_.extension() == ".mkv"; }
  std::int64_t frames() const { return frames_; }
  cv::Size size() const { return size_; }

 private:
  void open(cv::Size size);

  std::filesystem::path path_, part_;
  double rate_;
  cv::VideoWriter writer_;
  cv::Size size_;
  std::int64_t frames_ = 0;
};

}  // namespace stages
