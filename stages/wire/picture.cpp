// picture: OpenCV's coders, behind a look at what the file says of its size.
//
// A small file may unfold to gigabytes, and OpenCV takes the memory before it reads the pixels. So the size is read here
// first, and what is not exactly a png or a jpeg never gets to OpenCV, which would guess its kind among many.
#include "stages/wire/picture.h"

#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "graph/error.h"
#include "stages/play/image.h"
#include "stages/wire/loop.h"

namespace stages {
namespace {

using Bytes = std::vector<unsigned char>;

constexpr auto unreadable = "a picture that cannot be read";

// Big-endian, as both formats are.
std::uint64_t number_at(const Bytes& file, std::size_t at, std::size_t bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < bytes; ++i) number = (number << 8) | std::uint64_t{file[at + i]};
  return number;
}

// The signature, and a first chunk IHDR that begins with width and height.
std::uint64_t pixels_in_png(const Bytes& file) {
  constexpr std::array<unsigned char, 16> begin{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n',
                                                0,    0,   0,   13,  'I',  'H',  'D',  'R'};
  graph::require(file.size() >= 24 && std::equal(begin.begin(), begin.end(), file.begin()), unreadable);
  return number_at(file, 16, 4) * number_at(file, 20, 4);
}

// Segments FF KIND LENGTH(2) …; that of the frame, C0 to CF but for C4, C8 and CC, has a byte, height and width. What
// has no length does not come before it.
std::uint64_t pixels_in_jpeg(const Bytes& file) {
  graph::require(file.size() >= 2 && file[0] == 0xff && file[1] == 0xd8, unreadable);
  for (std::size_t at = 2; at + 9 <= file.size() && file[at] == 0xff; at += 2 + number_at(file, at + 2, 2)) {
    const auto kind = file[at + 1];
    if (kind < 0xc0 || (kind >= 0xd0 && kind <= 0xd9) || kind == 0xff) break;
    if (kind <= 0xcf && kind != 0xc4 && kind != 0xc8 && kind != 0xcc)
      return number_at(file, at + 5, 2) * number_at(file, at + 7, 2);
  }
  throw graph::Error(unreadable);
}

}  // namespace

std::string to_picture(const at::Tensor& pixels, const std::string& encoding) {
  auto image = to_image({pixels.unsqueeze(0), {}, {}, 0}, 1);
  if (pixels.size(2) == 1) {
    cv::Mat grey;
    cv::extractChannel(image, grey, 0);
    image = grey;
  }
  Bytes file;
  bool written = false;
  try {
    written = cv::imencode(encoding == "png" ? ".png" : ".jpg", image, file);
  } catch (const cv::Exception&) {
  }
  graph::require(written, "pixels that do not fit into a picture; tap them raw");
  return {file.begin(), file.end()};
}

std::string from_picture(const std::string& file, const std::string& encoding) {
  graph::require(encoding == "png" || encoding == "jpeg", "an encoding that is not known here");
  const Bytes bytes(file.begin(), file.end());
  const auto pixels = encoding == "png" ? pixels_in_png(bytes) : pixels_in_jpeg(bytes);
  graph::require(pixels <= largest_message / 3, "a picture of more pixels than a message may have");
  cv::Mat image;
  try {
    // As it is: one colour stays one, and nothing is turned round.
    image = cv::imdecode(bytes, cv::IMREAD_UNCHANGED);
  } catch (const cv::Exception&) {
  }
  graph::require(!image.empty() && (image.type() == CV_8UC1 || image.type() == CV_8UC3), unreadable);
  if (image.channels() == 3) {
    cv::Mat rgb;
    cv::cvtColor(image, rgb, cv::COLOR_BGR2RGB);
    image = rgb;
  }
  return {reinterpret_cast<const char*>(image.data), image.total() * image.elemSize()};
}

}  // namespace stages
