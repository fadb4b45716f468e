// image: tensors to cv::Mat.
#include "stages/play/image.h"

#include <torch/types.h>

#include <opencv2/imgproc.hpp>

#include "graph/error.h"

namespace stages {

cv::Mat to_image(const Frame& frame, int scale) {
  const auto S = frame.pixels.size(0), H = frame.pixels.size(1), W = frame.pixels.size(2),
             C = frame.pixels.size(3);
  if (C != 1 && C != 3)
    throw graph::Error("cannot show frames of " + std::to_string(C) + " colours; 1 and 3 work");
  // [S,H,W,C] → [H,S·W,C]
  const auto row = frame.pixels.permute({1, 0, 2, 3}).reshape({H, S * W, C}).contiguous();
  const cv::Mat small(static_cast<int>(H), static_cast<int>(S * W), C == 3 ? CV_8UC3 : CV_8UC1,
                      row.data_ptr<std::uint8_t>());
  cv::Mat bgr, large;
  cv::cvtColor(small, bgr, C == 3 ? cv::COLOR_RGB2BGR : cv::COLOR_GRAY2BGR);
  cv::resize(bgr, large, {}, scale, scale, cv::INTER_NEAREST);
  return large;
}

}  // namespace stages
