// image: frames as OpenCV wants them.
#pragma once

#include <opencv2/core/mat.hpp>

#include "stages/types.h"

namespace stages {

/// BGR, players side by side, each pixel a square of `scale` x `scale`. Frames of 1 or 3 colours; throws
/// graph::Error for others.
cv::Mat to_image(const Frame& frame, int scale);

}  // namespace stages
