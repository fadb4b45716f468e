// recording: the file that `record` writes and `replay` reads.
//
//   file    "WLRECORD"  version u32 = 1  block…                        all numbers little-endian
//   block   kind u8  size u64  crc of the body u32  crc of the 13 bytes before u32  body of `size` bytes
//
//   kind H  once, first: the fields of Head
//   kind M  a message: number u64  nanoseconds u64  size of its fields u32  fields  payload
//   kind E  once, last: the fields of Totals
//
// Fields and payloads are those of wire/archive.h, checksums CRC-32 (zlib's). The head of a block has its own, so
// that a file that was cut and one whose bytes changed are told apart. Each block is written in one piece when its
// message comes: whatever ends the process, all messages before are whole on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "graph/message.h"
#include "stages/wire/pack.h"

namespace stages {

/// What was recorded.
struct Head {
  std::string type;      // of all messages; empty when none came
  std::string stage;     // the recorder
  std::string edge;      // where its messages came from, "noise.noisy"
  std::string pipeline;  // merged, YAML that runs as it is
};

/// Written at the end.
struct Totals {
  std::uint64_t messages = 0;  // in the file
  std::uint64_t arrived = 0;   // on the edge into the recorder
  std::uint64_t dropped = 0;   // of these, by the edge
};

struct RecordedMessage {
  std::uint64_t number = 0;
  std::uint64_t nanoseconds = 0;  // since the first message
  graph::Any body;
};

/// A file that closes itself and names itself in errors.
class RecordingFile {
 public:
  RecordingFile(std::filesystem::path path, int flags);
  ~RecordingFile();
  RecordingFile(const RecordingFile&) = delete;

  int descriptor() const { return descriptor_; }
  const std::filesystem::path& path() const { return path_; }
  [[noreturn]] void fail(const std::string& text) const;
  [[noreturn]] void fail_errno(const std::string& text) const;

 private:
  std::filesystem::path path_;
  int descriptor_;
};

/// Writes PATH.part, which becomes PATH with end(). Without end() the .part stays, for replay to read up to the
/// cut. All methods block on the disk and throw graph::Error. One thread at a time.
class RecordingWriter {
 public:
  /// Makes folders as needed. Refuses a PATH.part that another recorder is writing.
  explicit RecordingWriter(std::filesystem::path path);

  void begin(const Head& head);
  void add(std::uint64_t number, std::uint64_t nanoseconds, const Packed& body);
  void end(const Totals& totals);

 private:
  void write(char kind, std::string_view body);

  std::filesystem::path path_;
  RecordingFile file_;
};

/// Reads a recording or a .part, also one that is being written. The file may hold anything: every failure is a
/// graph::Error of one line. One thread at a time.
class RecordingReader {
 public:
  explicit RecordingReader(std::filesystem::path path);

  const Head& head() const { return head_; }
  /// Nothing at the end, and where the file is cut.
  std::optional<RecordedMessage> next();
  /// Messages that next() has given.
  std::uint64_t messages() const { return blocks_ - 1; }
  /// Of a whole file, once next() has given nothing; empty when the end is missing.
  const std::optional<Totals>& totals() const { return totals_; }

 private:
  struct Block {
    char kind;
    std::string body;
  };
  // Nothing where the file is cut.
  std::optional<Block> read_block();
  std::optional<std::string> read(std::uint64_t bytes);
  void end(std::string_view body);
  [[noreturn]] void damaged(const std::string& how) const;

  RecordingFile file_;
  std::uint64_t position_ = 0;
  Head head_;
  std::uint64_t blocks_ = 0;  // whole ones, the header first
  std::uint64_t last_number_ = 0, last_nanoseconds_ = 0;
  std::optional<Totals> totals_;
};

}  // namespace stages
