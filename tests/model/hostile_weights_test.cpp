// hostile_weights_test: whatever is in a file of weights, loading it ends in weights or in one clear line.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <torch/types.h>

#include <cmath>
#include <iostream>

#include "stages/model/python_checkpoint.h"
#include "tests/folder.h"
#include "tests/model/golden.h"

namespace {

using model::Config;
using tests::Folder;
namespace fs = std::filesystem;

const fs::path rope = fs::path(GOLDEN_DIR) / "rope";

Config rope_config() { return Config::from_json(golden::text_of(rope / "config.json")); }

// What is wrong with the refusal of a file; "" when it was refused with one clear line.
std::string fault(const fs::path& path) {
  try {
    model::load_weights(path, rope_config());
  } catch (const std::runtime_error& error) {
    const std::string text = error.what();
    if (text.find(path.string()) != 0 || text.find('\n') != std::string::npos || text.size() > 600)
      return "said: " + text;
    return "";
  } catch (const std::exception& error) {
    return std::string("threw: ") + error.what();
  }
  return "was taken";
}

// The golden weights as either kind of file.
std::string python_bytes() { return golden::text_of(rope / "model.pt"); }

std::string safetensors_bytes(const Folder& folder, const model::Parameters& weights) {
  model::save(folder / "whole.safetensors", rope_config(), weights);
  return golden::text_of(folder / "whole.safetensors");
}

TEST(HostileWeights, TruncatedAtEveryFourKilobytesAreRefused) {
  const Folder folder;
  for (const std::string& bytes :
       {python_bytes(), safetensors_bytes(folder, model::load_python(rope / "model.pt", rope_config()))})
    for (std::size_t length = 0; length < bytes.size(); length += 4096) {
      folder.write("cut", bytes.substr(0, length));
      EXPECT_EQ(fault(folder / "cut"), "") << length;
    }
}

TEST(HostileWeights, NumbersThatAreNotFiniteAreRefused) {
  const Folder folder;
  const auto weights = model::load_python(rope / "model.pt", rope_config());
  for (const double bad : {std::nan(""), static_cast<double>(INFINITY)}) {
    auto broken = weights;
    broken.tensors[7] = broken.tensors[7].clone();
    broken.tensors[7].view(-1)[3] = bad;
    safetensors_bytes(folder, broken);
    const auto text = golden::refusal<std::runtime_error>(
        [&] { model::load_weights(folder / "whole.safetensors", std::nullopt); });
    EXPECT_NE(text.find("not finite in " + weights.names[7]), std::string::npos) << text;
  }
}

TEST(HostileWeights, FlippedBytesOfTheHeadNeverCrash) {
  const Folder folder;
  const auto bytes = safetensors_bytes(folder, model::load_python(rope / "model.pt", rope_config()));
  for (std::size_t at = 0; at < 6000; at += 53) {
    auto changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x15);
    folder.write("changed", changed);
    const auto found = fault(folder / "changed");
    EXPECT_TRUE(found.empty() || found == "was taken") << found;
  }
}

TEST(HostileWeights, WhatIsNoFileIsRefusedAtOnce) {
  const Folder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(fault(folder / "pipe"), "");
  EXPECT_EQ(fault(folder / "missing"), "");
  EXPECT_EQ(fault(folder.path()), "");
}

#if !defined(__SANITIZE_ADDRESS__)  // which reserves address space without limit
// Files whose headers speak of terabytes, read by a process that may take 60 MB more than it has.
TEST(HostileWeightsDeathTest, ClaimsOfSizeAllocateNothing) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto load_all = [] {
    const Folder folder;
    std::vector<std::string> files;
    const auto headed = [&](const std::string& header, std::uint64_t claimed) {
      files.emplace_back(reinterpret_cast<const char*>(&claimed), sizeof claimed);
      files.back() += header;
    };
    headed("{}", std::uint64_t{1} << 30);
    headed("{}", UINT64_MAX);
    const std::string huge =
        R"({"x":{"dtype":"F32","shape":[250000000000],"data_offsets":[0,1000000000000]}})";
    headed(huge, huge.size());
    // A header of 1.1 GB that is really there, as a hole in the file.
    headed("{", std::uint64_t{1} << 30);
    // Pickles that are nothing but lists, and nothing but names for one of them.
    files.push_back(golden::zip({{"c/data.pkl", std::string(1'900'000, ']')}}));
    files.push_back(golden::zip({{"c/data.pkl", ']' + std::string(1'900'000, '\x94')}}));
    std::ifstream status("/proc/self/statm");
    std::uint64_t pages = 0;
    status >> pages;
    const rlim_t limit = pages * 4096 + 60'000'000;
    const rlimit both{limit, limit};
    if (setrlimit(RLIMIT_AS, &both) != 0) std::_Exit(2);
    for (std::size_t i = 0; i < files.size(); ++i) {
      folder.write("file", files[i]);
      if (i == 3) fs::resize_file(folder / "file", (std::uint64_t{1} << 30) + 100);
      const auto found = fault(folder / "file");
      if (found.empty()) continue;
      std::cerr << "file " << i << ' ' << found << std::endl;
      std::_Exit(1);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(load_all(), testing::ExitedWithCode(0), "");
}
#endif

}  // namespace
