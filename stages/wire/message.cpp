// message: topics, headers and payloads as bytes.
#include "stages/wire/message.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <msgpack.hpp>
#include <span>

#include "graph/error.h"

namespace stages {
namespace {

constexpr char version = 1;
constexpr std::size_t longest_header = 65535, longest_topic = 255;

// Enough for every noun, too little for a bomb.
const msgpack::unpack_limit limits(/*array*/ 1 << 12, /*map*/ 64, /*str*/ longest_header,
                                   /*bin*/ longest_header,
                                   /*ext*/ 0, /*depth*/ 8);

[[noreturn]] void fail(const char* what) { throw graph::Error(std::string("a message ") + what); }

std::uint64_t natural(const msgpack::object& value) {
  if (value.type != msgpack::type::POSITIVE_INTEGER) fail("whose header has a value of a wrong type");
  return value.via.u64;
}

std::string text(const msgpack::object& value) {
  if (value.type != msgpack::type::STR) fail("whose header has a value of a wrong type");
  return {value.via.str.ptr, value.via.str.size};
}

}  // namespace

std::string encode(const WireMessage& message) {
  msgpack::sbuffer header;
  msgpack::packer<msgpack::sbuffer> pack(header);
  pack.pack_map(6);
  const auto key = [&](std::string_view name) { pack.pack(name); };
  key("seq"), pack.pack(message.seq);
  key("t_ns"), pack.pack(message.t_ns);
  key("run_id"), pack.pack(message.run_id);
  key("type"), pack.pack(message.noun.type);
  key("encoding"), pack.pack(message.encoding);
  key("fields"), header.write(message.noun.fields.data(), message.noun.fields.size());
  if (header.size() > longest_header) fail("has more fields than a header holds; tap another edge");
  std::string bytes;
  bytes.reserve(message.topic.size() + 4 + header.size() + message.noun.payload.size());
  bytes.append(message.topic).push_back('\0');
  bytes.push_back(version);
  bytes.push_back(static_cast<char>(header.size() & 0xff));
  bytes.push_back(static_cast<char>(header.size() >> 8));
  bytes.append(header.data(), header.size());
  bytes.append(message.noun.payload);
  return bytes;
}

std::string_view topic_of(std::string_view bytes) {
  const auto end = bytes.substr(0, longest_topic + 1).find('\0');
  if (end == std::string_view::npos) fail("without the end of a topic");
  return bytes.substr(0, end);
}

WireMessage decode(std::string_view bytes) {
  WireMessage message{.topic = std::string(topic_of(bytes))};
  bytes.remove_prefix(message.topic.size() + 1);
  if (bytes.size() < 3) fail("that is cut off");
  if (bytes[0] != version) fail("of another version of the protocol; this program speaks version 1");
  const auto length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[1])) |
                      static_cast<std::size_t>(static_cast<unsigned char>(bytes[2])) << 8;
  bytes.remove_prefix(3);
  if (bytes.size() < length) fail("that is cut off");
  msgpack::object_handle parsed;
  std::size_t read = 0;
  try {
    parsed = msgpack::unpack(bytes.data(), length, read, nullptr, nullptr, limits);
  } catch (const msgpack::unpack_error&) {
    fail("whose header is no msgpack");
  }
  const auto& map = parsed.get();
  if (map.type != msgpack::type::MAP || read != length) fail("whose header is not one map");
  bool has_type = false, has_fields = false;
  for (const auto& entry : std::span(map.via.map.ptr, map.via.map.size)) {
    if (entry.key.type != msgpack::type::STR) continue;
    const auto name = text(entry.key);
    const auto& value = entry.val;
    if (name == "seq") message.seq = natural(value);
    if (name == "t_ns") message.t_ns = natural(value);
    if (name == "run_id") message.run_id = text(value);
    if (name == "type") message.noun.type = text(value), has_type = true;
    if (name == "encoding") message.encoding = text(value);
    if (name == "fields") {
      msgpack::sbuffer fields;
      msgpack::pack(fields, value);
      message.noun.fields.assign(fields.data(), fields.size());
      has_fields = true;
    }
  }
  if (!has_type || !has_fields) fail("whose header lacks type or fields");
  message.noun.payload = bytes.substr(length);
  return message;
}

std::string plain(std::string text) {
  for (auto& c : text)
    if (c < ' ' || c > '~') c = '?';
  return text;
}

std::uint64_t unix_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count());
}

const std::string& run_id() {
  static const auto id = fmt::format("{:x}-{:x}", unix_ns(), getpid());
  return id;
}

}  // namespace stages
