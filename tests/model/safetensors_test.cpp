// safetensors_test: files come back bit for bit, and hostile ones end in one clear line.
#include "stages/model/safetensors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <torch/types.h>

#include "tests/folder.h"
#include "tests/model/golden.h"

namespace {

using model::TensorFile;
using tests::Folder;

std::string with_header(std::string header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  return bytes + header + std::string(data_bytes, '\1');
}

bool bit_equal(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         (a.nbytes() == 0 || std::memcmp(a.data_ptr(), b.data_ptr(), a.nbytes()) == 0);
}

TEST(Safetensors, EveryTypeComesBackBitForBit) {
  const Folder folder;
  TensorFile file;
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
                                    at::kShort, at::kChar, at::kByte, at::kBool}) {
    file.tensors.add(std::string("t.") + c10::toString(type),
                     (at::rand({3, 5}) * 9 - 4).to(at::kInt).to(type));
  }
  file.tensors.add("nan", at::full({2}, std::nan("")));
  file.tensors.add("scalar", at::rand({}));
  file.tensors.add("empty", at::empty({0, 4}));
  file.tensors.add("strided", at::rand({4, 6}).t());
  file.metadata = {{"who", "a \"test\"\n"}, {"model", "{}"}};
  model::write_safetensors(folder / "all", file);
  const TensorFile back = model::read_safetensors(folder / "all");
  EXPECT_EQ(back.metadata, file.metadata);
  ASSERT_EQ(back.tensors.size(), file.tensors.size());
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    EXPECT_TRUE(bit_equal(back.tensors.at(file.tensors.names[i]), file.tensors.tensors[i].contiguous()))
        << file.tensors.names[i];
  }
}

TEST(Safetensors, TensorsOfOneTypeKeepTheirOrder) {
  const Folder folder;
  TensorFile file;
  for (const char* name : {"z", "a", "m"}) file.tensors.add(name, at::rand({2}));
  model::write_safetensors(folder / "ordered", file);
  EXPECT_EQ(model::read_safetensors(folder / "ordered").tensors.names, file.tensors.names);
}

TEST(Safetensors, WritingReplacesTheFileAndLeavesNoTemporaryOne) {
  const Folder folder;
  TensorFile file;
  for (const float value : {1.f, 2.f}) {
    file.tensors = {};
    file.tensors.add("x", at::full({1}, value));
    model::write_safetensors(folder / "x", file);
    EXPECT_EQ(model::read_safetensors(folder / "x").tensors.at("x").item<float>(), value);
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "x.tmp"));
}

TEST(Safetensors, AWriteThatFailsLeavesTheOldFile) {
  const Folder folder;
  TensorFile file;
  file.tensors.add("x", at::ones({1}));
  model::write_safetensors(folder / "x", file);
  file.tensors.add("odd", at::zeros({1}, at::kComplexFloat));
  EXPECT_THROW(model::write_safetensors(folder / "x", file), std::runtime_error);
  EXPECT_EQ(model::read_safetensors(folder / "x").tensors.size(), 1u);
  const auto text =
      golden::refusal<std::runtime_error>([&] { model::write_safetensors(folder / "no/such/x", {}); });
  EXPECT_NE(text.find("cannot open"), std::string::npos) << text;
}

TEST(Safetensors, ReadsWhatPythonWrote) {
  const TensorFile file =
      model::read_safetensors(std::filesystem::path(GOLDEN_DIR) / "rope/golden.safetensors");
  EXPECT_EQ(file.metadata.at("rope_type"), "rope");
  EXPECT_EQ(file.tensors.at("train.x0").sizes(), at::IntArrayRef({2, 4, 3, 24, 24}));
  EXPECT_EQ(file.tensors.at("train.actions").scalar_type(), at::kLong);
}

TEST(Safetensors, HostileFilesEndInOneClearLine) {
  const std::string one = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const auto tensor = [](const std::string& body) { return R"({"x":{)" + body + "}}"; };
  const std::pair<std::string, const char*> corpus[] = {
      {"", "0 bytes long"},
      {"1234567", "7 bytes long"},
      {std::string(8, '\xff'), "claims 18446744073709551615 bytes"},
      {with_header(one, 8).substr(0, 30), "cut off or not a safetensors file"},
      {with_header(one, 7), "need 8 bytes and it has 7"},
      {with_header(one, 9), "need 8 bytes and it has 9"},
      {with_header("", 0), "not a JSON object"},
      {with_header("{", 0), "not a JSON object"},
      {with_header("[]", 0), "not a JSON object"},
      {with_header("{}\xff", 0), "not a JSON object"},
      {with_header(std::string(100'000, '['), 0), "nested too deeply"},
      {with_header(R"({"a":)" + std::string(100'000, '{'), 0), "not a JSON object"},
      {with_header(R"({"x":1})", 0), "expected an object with dtype"},
      {with_header(tensor(R"("dtype":"F32","shape":[2])"), 8), "expected an object with dtype"},
      {with_header(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1)"), 8),
       "expected an object with"},
      {with_header(tensor(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])"), 8), "unknown dtype \"F31\""},
      {with_header(tensor(R"("dtype":4,"shape":[2],"data_offsets":[0,8])"), 8), "dtype is no string"},
      {with_header(tensor(R"("dtype":"F32","shape":2,"data_offsets":[0,8])"), 8), "shape is no list"},
      {with_header(tensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), 8), "out of range"},
      {with_header(tensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), 8), "out of range"},
      {with_header(tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0),
       "overflows"},
      {with_header(tensor(R"("dtype":"F32","shape":[1000000000000000],"data_offsets":[0,8])"), 8),
       "expected 4000000000000000 bytes"},
      {with_header(tensor(R"("dtype":"F32","shape":[250000000000],"data_offsets":[0,1000000000000])"), 8),
       "need 1000000000000 bytes"},
      {with_header(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), 8), "span 8 to 0"},
      {with_header(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])"), 8), "not two numbers"},
      {with_header(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0])"), 8), "not two numbers"},
      {with_header(
           tensor(R"("dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,18446744073709551616])"),
           8),
       "not two numbers"},
      {with_header(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[4,12])"), 12),
       "expected 0 (overlap or gap)"},
      {with_header(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                   R"("y":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                   12),
       "overlap or gap"},
      {with_header(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                   R"("y":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                   16),
       "overlap or gap"},
      {with_header(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                   R"("x":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})",
                   16),
       "two entries named 'x'"},
      {with_header(R"({"__metadata__":{"a":1}})", 0), "metadata 'a' is no string"},
      {with_header(R"({"__metadata__":[]})", 0), "__metadata__ is no object"},
  };
  const Folder folder;
  for (const auto& [bytes, expected] : corpus) {
    folder.write("hostile", bytes);
    const std::string text =
        golden::refusal<std::runtime_error>([&] { model::read_safetensors(folder / "hostile"); });
    EXPECT_NE(text.find(expected), std::string::npos) << text;
    EXPECT_NE(text.find("hostile: "), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_LT(text.size(), 300u) << text;
  }
}

TEST(Safetensors, WhatIsNoFileIsRefusedAtOnce) {
  const Folder folder;
  EXPECT_THROW(model::read_safetensors(folder / "missing"), std::runtime_error);
  EXPECT_THROW(model::read_safetensors(folder.path()), std::runtime_error);
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THROW(model::read_safetensors(folder / "pipe"), std::runtime_error);
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const Folder folder;
  TensorFile file;
  file.tensors.add("x", at::rand({3}));
  file.tensors.add("y", at::zeros({2}, at::kByte));
  model::write_safetensors(folder / "whole", file);
  const std::string bytes = golden::text_of(folder / "whole");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    folder.write("cut", bytes.substr(0, length));
    EXPECT_THROW(model::read_safetensors(folder / "cut"), std::runtime_error) << length;
  }
}

TEST(Safetensors, FlippedBytesNeverCrash) {
  const Folder folder;
  TensorFile file;
  file.tensors.add("x", at::rand({3}));
  file.tensors.add("flag", at::ones({2}, at::kBool));
  file.metadata = {{"model", "{}"}};
  model::write_safetensors(folder / "whole", file);
  const std::string bytes = golden::text_of(folder / "whole");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {0x01, 0x10, 0x80}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      folder.write("flipped", changed);
      try {
        model::read_safetensors(folder / "flipped");
      } catch (const std::runtime_error&) {
      }
    }
  }
}

TEST(Safetensors, BoolsOfAnyByteAreBools) {
  const Folder folder;
  folder.write("bool", with_header(R"({"x":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", 0) +
                           std::string("\x07\x00", 2));
  const at::Tensor x = model::read_safetensors(folder / "bool").tensors.at("x");
  EXPECT_EQ(static_cast<const std::uint8_t*>(x.data_ptr())[0], 1);
  EXPECT_EQ(static_cast<const std::uint8_t*>(x.data_ptr())[1], 0);
}

}  // namespace
