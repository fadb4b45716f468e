// picture: a frame's pixels as a png or jpeg file, and back.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace stages {

/// Pixels [H,W,C] uint8 of 1 or 3 colours as a file, png or jpeg as `encoding` says. Throws graph::Error for others, and
/// for what is too large for such a file.
std::string to_picture(const at::Tensor& pixels, const std::string& encoding);

/// The bytes of such a file's pixels, [H,W,C]. For untrusted files: throws graph::Error of one line, and takes memory for
/// no more pixels than a message may have.
std::string from_picture(const std::string& file, const std::string& encoding);

}  // namespace stages
