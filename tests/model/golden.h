// golden: the reference's numbers, for tests to compare with.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "stages/model/mmdit.h"
#include "stages/model/python_checkpoint.h"
#include "stages/model/safetensors.h"

namespace golden {

inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

// ‖a − b‖ / ‖b‖
inline double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  const at::Tensor reference = b.to(at::kDouble);
  return ((a.to(at::kDouble) - reference).norm() / reference.norm().clamp_min(1e-12)).item<double>();
}

// A measured difference in a test report.
inline std::string figure(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", value);
  return text;
}

// A zip without compression, as torch.save writes; readers of weights do not look at check sums.
inline std::string zip(const std::vector<std::pair<std::string, std::string>>& members) {
  const auto u16 = [](std::size_t value) {
    return std::string{static_cast<char>(value), static_cast<char>(value >> 8)};
  };
  const auto u32 = [&](std::size_t value) { return u16(value & 0xffff) + u16(value >> 16); };
  std::string bytes, directory;
  for (const auto& [name, data] : members) {
    const std::string common = u16(0) + u16(0) + u16(0) + u16(0) + u32(0) + u32(data.size()) +
                               u32(data.size()) + u16(name.size()) + u16(0);
    directory +=
        "PK\1\2" + u16(0) + u16(0) + common + u16(0) + u16(0) + u16(0) + u32(0) + u32(bytes.size()) + name;
    bytes += "PK\3\4" + u16(0) + common + name + data;
  }
  const std::size_t start = bytes.size();
  return bytes + directory + "PK\5\6" + u16(0) + u16(0) + u16(members.size()) + u16(members.size()) +
         u32(directory.size()) + u32(start) + u16(0);
}

// Runs f and returns the text of the exception that it must throw.
template <class Exception, class Function>
std::string refusal(Function f) {
  try {
    f();
  } catch (const Exception& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

}  // namespace golden
