// archive: a struct's fields as a msgpack map, and the numbers of its tensors behind it.
//
// A struct takes part by a function fields(Struct&, auto& part), as in stages/fields.h. In the map a number is
// itself, a text a string, a tensor {dtype: "float32", shape: [2, 3]} and an undefined tensor nil. The payload
// holds the tensors' numbers in the map's order without gaps, little-endian, the last dimension fastest. All of
// it comes back bit for bit.
//
// Reading is for untrusted input: whatever the bytes are, the result is a value or a graph::Error of one line.
// Memory is taken for what is there, never for what is only announced.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <msgpack.hpp>
#include <string>
#include <string_view>

namespace stages {

struct Archived {
  std::string fields, payload;
};

class FieldWriter {
 public:
  FieldWriter& operator()(const char* name, std::int64_t value);
  FieldWriter& operator()(const char* name, std::uint64_t value);
  FieldWriter& operator()(const char* name, double value);
  FieldWriter& operator()(const char* name, const std::string& value);
  /// From whatever device and however strided.
  FieldWriter& operator()(const char* name, const at::Tensor& value);

  Archived take();

 private:
  using Buffer = msgpack::sbuffer;
  msgpack::packer<Buffer> key(const char* name);

  Buffer values_;
  std::uint32_t count_ = 0;
  std::string payload_;
};

class FieldReader {
 public:
  /// Both must outlive this.
  FieldReader(std::string_view fields, std::string_view payload);

  FieldReader& operator()(const char* name, std::int64_t& value);
  FieldReader& operator()(const char* name, std::uint64_t& value);
  FieldReader& operator()(const char* name, double& value);
  FieldReader& operator()(const char* name, std::string& value);
  FieldReader& operator()(const char* name, at::Tensor& value);

  /// Throws when there is more than was read: a field that this program does not know changes what the rest
  /// means.
  void end() const;

 private:
  const msgpack::object& find(const char* name);

  msgpack::object_handle parsed_;
  std::uint32_t found_ = 0;
  std::string_view payload_;
};

template <class T>
Archived archive(T value) {
  FieldWriter writer;
  fields(value, writer);
  return writer.take();
}

template <class T>
T unarchive(std::string_view map, std::string_view payload) {
  T value;
  FieldReader reader(map, payload);
  fields(value, reader);
  reader.end();
  return value;
}

}  // namespace stages
