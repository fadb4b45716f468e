// archive: a struct's fields as a msgpack map, and the numbers of its tensors behind it.
//
// A struct takes part by a function fields(Struct&, auto& part), as in stages/fields.h. In the map a number is
// itself, a text a string, a tensor {dtype: "float32", shape: [2, 3]} and an undefined tensor nil; an enum is the
// number of its value, a list of structs a list of such maps. The payload
// holds the tensors' numbers in the map's order without gaps, little-endian, the last dimension fastest. All of
// it comes back bit for bit.
//
// Reading is for untrusted input: whatever the bytes are, the result is a value or a graph::Error of one line.
// Memory is taken for what is there, never for what is only announced.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <msgpack.hpp>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

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
  template <class E>
  requires std::is_enum_v<E> FieldWriter& operator()(const char* name, E value) {
    return (*this)(name, static_cast<std::uint64_t>(value));
  }
  template <class T>
  FieldWriter& operator()(const char* name, const std::vector<T>& values) {
    key(name).pack_array(static_cast<std::uint32_t>(values.size()));
    for (auto value : values) {
      FieldWriter item;
      fields(value, item);
      const auto [map, payload] = item.take();
      values_.write(map.data(), map.size());
      payload_ += payload;
    }
    return *this;
  }

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
  /// E::last is the largest that there is.
  template <class E>
  requires std::is_enum_v<E> FieldReader& operator()(const char* name, E& value) {
    std::uint64_t number = 0;
    (*this)(name, number);
    if (number > static_cast<std::uint64_t>(E::last)) wrong_value(name);
    value = static_cast<E>(number);
    return *this;
  }
  template <class T>
  FieldReader& operator()(const char* name, std::vector<T>& values) {
    values.clear();
    for (const auto& object : list(name)) {
      FieldReader item(object, payload_);
      fields(values.emplace_back(), item);
      item.check_count();
      payload_ = item.payload_;
    }
    return *this;
  }

  /// Throws when there is more than was read: a field that this program does not know changes what the rest
  /// means.
  void end() const;

 private:
  FieldReader(const msgpack::object& map, std::string_view payload);
  const msgpack::object& find(const char* name);
  std::span<const msgpack::object> list(const char* name);
  void check_count() const;
  [[noreturn]] static void wrong_value(const char* name);

  msgpack::object_handle parsed_;  // of the outermost
  msgpack::object map_;
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
