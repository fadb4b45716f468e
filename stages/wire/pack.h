// pack: nouns as bytes and back, by the name of their type; for files and sockets.
//
// The form of the bytes stands in archive.h; which nouns there are, and their fields, in stages/fields.h.
#pragma once

#include <string>
#include <string_view>

#include "graph/message.h"

namespace stages {

struct Packed {
  std::string type;     // the noun: "Frame"
  std::string fields;   // a msgpack map, whole in itself: it can stand as a value in a larger one
  std::string payload;  // the numbers of the tensors
};

/// Whether nouns of this type can be packed.
bool travels(const std::string& type);

/// Throws graph::Error when the noun does not travel. Any thread.
Packed pack(const graph::Any& body);

/// What pack() was given, bit for bit, on the CPU. For untrusted bytes: throws graph::Error of one line. Any
/// thread.
graph::Any unpack(const std::string& type, std::string_view fields, std::string_view payload);

}  // namespace stages
