// message: the form of what taps send, one ZeroMQ frame for each message of an edge.
//
//   topic  00  version u8 = 1  length u16 little-endian  header: a msgpack map of that length  payload
//
// The topic comes first, so that ZeroMQ can filter by it. README.md beside this file says what is in header and
// payload.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "stages/wire/pack.h"

namespace stages {

struct WireMessage {
  std::string topic;
  std::string run_id;      // of the process that sent it
  std::uint64_t seq = 0;   // counts the topic's messages from 0, lost ones included
  std::uint64_t t_ns = 0;  // when it was sent, in nanoseconds since 1970
  std::string encoding = "raw";
  Packed noun;
};

/// Throws graph::Error when the header does not fit into 65,535 bytes.
std::string encode(const WireMessage& message);

/// Where the bytes say it; as decode() but for what follows it.
std::string_view topic_of(std::string_view bytes);

/// For untrusted bytes: throws graph::Error of one line. Header keys that are not known here are passed over. The noun
/// is taken as it is, for unpack() to look into.
WireMessage decode(std::string_view bytes);

/// A stranger's text, fit to be shown and sent on.
std::string plain(std::string text);

/// Nanoseconds since 1970.
std::uint64_t unix_ns();

/// A name for this run of the process, another one each time.
const std::string& run_id();

}  // namespace stages
