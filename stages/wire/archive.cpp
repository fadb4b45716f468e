// archive: msgpack with limits, and raw numbers.
#include "stages/wire/archive.h"

#include <torch/types.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <vector>

#include "graph/error.h"

static_assert(std::endian::native == std::endian::little, "payloads are little-endian");

namespace stages {
namespace {

struct NamedType {
  const char* name;  // numpy's
  at::ScalarType type;
};
constexpr std::array types = {
    NamedType{"float64", at::kDouble},    NamedType{"float32", at::kFloat}, NamedType{"float16", at::kHalf},
    NamedType{"bfloat16", at::kBFloat16}, NamedType{"int64", at::kLong},    NamedType{"int32", at::kInt},
    NamedType{"int16", at::kShort},       NamedType{"int8", at::kChar},     NamedType{"uint8", at::kByte},
    NamedType{"bool", at::kBool},
};

// A map of fields, in it a list of maps, in one a tensor's map, in it a shape. msgpack takes memory for a list when
// it reads its length, so these bound what a few bytes can ask for.
constexpr std::size_t most_fields = 64, most_items = 4096, most_dimensions = 16, depth = 5;
constexpr std::uint64_t most_numbers = std::uint64_t{1} << 40;

[[noreturn]] void wrong(const char* name, const std::string& text) {
  throw graph::Error("field '" + std::string(name) + "': " + text);
}

std::string_view text_of(const msgpack::object& object) { return {object.via.str.ptr, object.via.str.size}; }

bool is_text(const msgpack::object& object) { return object.type == msgpack::type::STR; }

const msgpack::object* find_key(const msgpack::object& map, std::string_view key) {
  for (std::uint32_t i = 0; i < map.via.map.size; ++i) {
    const auto& entry = map.via.map.ptr[i];
    if (is_text(entry.key) && text_of(entry.key) == key) return &entry.val;
  }
  return nullptr;
}

at::ScalarType type_named(const char* name, const msgpack::object* object) {
  if (object && is_text(*object))
    for (const auto& each : types)
      if (text_of(*object) == each.name) return each.type;
  std::string known;
  for (const auto& each : types) known += std::string(known.empty() ? "" : ", ") + each.name;
  wrong(name, "its dtype is none of " + known);
}

std::vector<std::int64_t> shape_of(const char* name, const msgpack::object* object) {
  if (!object || object->type != msgpack::type::ARRAY) wrong(name, "a tensor without a shape");
  if (object->via.array.size > most_dimensions) wrong(name, "a tensor of too many dimensions");
  std::vector<std::int64_t> shape;
  std::uint64_t numbers = 1;
  for (std::uint32_t i = 0; i < object->via.array.size; ++i) {
    const auto& size = object->via.array.ptr[i];
    if (size.type != msgpack::type::POSITIVE_INTEGER) wrong(name, "a tensor's shape holds natural numbers");
    // Of an empty tensor too, since its strides are products as well.
    const auto factor = std::max<std::uint64_t>(size.via.u64, 1);
    if (factor > most_numbers / numbers) wrong(name, "its shape is too large");
    numbers *= factor;
    shape.push_back(static_cast<std::int64_t>(size.via.u64));
  }
  return shape;
}

}  // namespace

// --- writing -------------------------------------------------------------------------------------------------

msgpack::packer<FieldWriter::Buffer> FieldWriter::key(const char* name) {
  ++count_;
  msgpack::packer<Buffer>(values_).pack(std::string_view(name));
  return msgpack::packer<Buffer>(values_);
}

FieldWriter& FieldWriter::operator()(const char* name, std::int64_t value) {
  key(name).pack_int64(value);
  return *this;
}

FieldWriter& FieldWriter::operator()(const char* name, std::uint64_t value) {
  key(name).pack_uint64(value);
  return *this;
}

FieldWriter& FieldWriter::operator()(const char* name, double value) {
  key(name);
  // pack_double would write whole numbers as integers, and lose the sign of -0.
  char bytes[9] = {static_cast<char>(0xcb)};
  const auto bits = std::bit_cast<std::uint64_t>(value);
  for (int i = 0; i < 8; ++i) bytes[1 + i] = static_cast<char>(bits >> (56 - 8 * i));
  values_.write(bytes, sizeof bytes);
  return *this;
}

FieldWriter& FieldWriter::operator()(const char* name, const std::string& value) {
  key(name).pack(value);
  return *this;
}

FieldWriter& FieldWriter::operator()(const char* name, const at::Tensor& value) {
  auto packer = key(name);
  if (!value.defined()) {
    packer.pack_nil();
    return *this;
  }
  const auto type = std::ranges::find(types, value.scalar_type(), &NamedType::type);
  if (type == types.end())
    wrong(name, std::string("no packed form for tensors of ") + c10::toString(value.scalar_type()));
  packer.pack_map(2);
  packer.pack(std::string_view("dtype"));
  packer.pack(std::string_view(type->name));
  packer.pack(std::string_view("shape"));
  packer.pack_array(static_cast<std::uint32_t>(value.dim()));
  for (const auto size : value.sizes()) packer.pack_int64(size);
  const auto plain = value.detach().cpu().contiguous();
  if (plain.numel() > 0) payload_.append(static_cast<const char*>(plain.data_ptr()), plain.nbytes());
  return *this;
}

Archived FieldWriter::take() {
  Buffer map;
  msgpack::packer<Buffer>(map).pack_map(count_);
  map.write(values_.data(), values_.size());
  return {std::string(map.data(), map.size()), std::move(payload_)};
}

// --- reading -------------------------------------------------------------------------------------------------

FieldReader::FieldReader(std::string_view fields, std::string_view payload) : payload_(payload) {
  const auto in_place = [](msgpack::type::object_type, std::size_t, void*) { return true; };
  const auto any = std::numeric_limits<std::uint32_t>::max();
  std::size_t read = 0;
  try {
    parsed_ = msgpack::unpack(fields.data(), fields.size(), read, in_place, nullptr,
                              {most_items, most_fields, any, any, any, depth});
  } catch (const msgpack::unpack_error&) {
    throw graph::Error("its fields are cut off or damaged");
  }
  if (parsed_->type != msgpack::type::MAP || read != fields.size())
    throw graph::Error("its fields are not one msgpack map");
  map_ = parsed_.get();
}

FieldReader::FieldReader(const msgpack::object& map, std::string_view payload)
    : map_(map), payload_(payload) {}

std::span<const msgpack::object> FieldReader::list(const char* name) {
  const auto& object = find(name);
  if (object.type != msgpack::type::ARRAY) wrong(name, "expected a list");
  const std::span<const msgpack::object> items(object.via.array.ptr, object.via.array.size);
  for (const auto& item : items)
    if (item.type != msgpack::type::MAP) wrong(name, "expected a list of maps");
  return items;
}

void FieldReader::wrong_value(const char* name) { wrong(name, "no value that is known here"); }

const msgpack::object& FieldReader::find(const char* name) {
  const auto* value = find_key(map_, name);
  if (!value) wrong(name, "missing; another version of this program may have written it");
  ++found_;
  return *value;
}

FieldReader& FieldReader::operator()(const char* name, std::int64_t& value) {
  const auto& object = find(name);
  const bool positive = object.type == msgpack::type::POSITIVE_INTEGER;
  if (!positive && object.type != msgpack::type::NEGATIVE_INTEGER) wrong(name, "expected an integer");
  if (positive && object.via.u64 > std::numeric_limits<std::int64_t>::max()) wrong(name, "too large");
  value = positive ? static_cast<std::int64_t>(object.via.u64) : object.via.i64;
  return *this;
}

FieldReader& FieldReader::operator()(const char* name, std::uint64_t& value) {
  const auto& object = find(name);
  if (object.type != msgpack::type::POSITIVE_INTEGER) wrong(name, "expected a natural number");
  value = object.via.u64;
  return *this;
}

FieldReader& FieldReader::operator()(const char* name, double& value) {
  const auto& object = find(name);
  switch (object.type) {
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      value = object.via.f64;
      break;
    // Some writers shorten whole numbers to integers.
    case msgpack::type::POSITIVE_INTEGER:
      value = static_cast<double>(object.via.u64);
      break;
    case msgpack::type::NEGATIVE_INTEGER:
      value = static_cast<double>(object.via.i64);
      break;
    default:
      wrong(name, "expected a number");
  }
  return *this;
}

FieldReader& FieldReader::operator()(const char* name, std::string& value) {
  const auto& object = find(name);
  if (!is_text(object)) wrong(name, "expected a text");
  value = text_of(object);
  return *this;
}

FieldReader& FieldReader::operator()(const char* name, at::Tensor& value) {
  const auto& object = find(name);
  if (object.type == msgpack::type::NIL) {
    value = at::Tensor();
    return *this;
  }
  if (object.type != msgpack::type::MAP) wrong(name, "expected a tensor");
  const auto type = type_named(name, find_key(object, "dtype"));
  const auto shape = shape_of(name, find_key(object, "shape"));
  std::uint64_t bytes = c10::elementSize(type);
  for (const auto size : shape) bytes *= static_cast<std::uint64_t>(size);
  if (bytes > payload_.size())
    wrong(name, "its tensor has " + std::to_string(bytes) + " bytes, of which " +
                    std::to_string(payload_.size()) + " are there");
  // A bool of any value but 0 and 1 is undefined behaviour, so bools come in as bytes.
  const bool is_bool = type == at::kBool;
  value = at::empty(shape, is_bool ? at::kByte : type);
  if (bytes > 0) std::memcpy(value.data_ptr(), payload_.data(), bytes);
  if (is_bool) value = value.ne(0);
  payload_.remove_prefix(bytes);
  return *this;
}

void FieldReader::check_count() const {
  if (map_.via.map.size != found_)
    throw graph::Error(
        "it has fields that are not known here; another version of this program may have written it");
}

void FieldReader::end() const {
  check_count();
  if (!payload_.empty())
    throw graph::Error(std::to_string(payload_.size()) + " bytes too many behind its tensors");
}

}  // namespace stages
