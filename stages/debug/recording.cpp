// recording: blocks, checksums, and files that are there whole or not at all.
#include "stages/debug/recording.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <torch/types.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "graph/error.h"
#include "stages/wire/archive.h"

static_assert(std::endian::native == std::endian::little, "recordings are little-endian");

namespace stages {

void fields(Head& head, auto& part) {
  auto& [type, stage, edge, pipeline] = head;
  part("type", type)("stage", stage)("edge", edge)("pipeline", pipeline);
}

void fields(Totals& totals, auto& part) {
  auto& [messages, arrived, dropped] = totals;
  part("messages", messages)("arrived", arrived)("dropped", dropped);
}

namespace {

namespace fs = std::filesystem;

constexpr std::string_view magic = "WLRECORD";
constexpr std::uint32_t version = 1;
constexpr std::size_t block_head = 1 + 8 + 4 + 4, message_head = 8 + 8 + 4;
// 146 years, which added to a clock does not overflow.
constexpr std::uint64_t longest = std::uint64_t{1} << 62;

std::uint32_t crc32(std::string_view bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> entries{};
    for (std::uint32_t i = 0; i < entries.size(); ++i) {
      entries[i] = i;
      for (int bit = 0; bit < 8; ++bit)
        entries[i] = (entries[i] >> 1) ^ ((entries[i] & 1) != 0 ? 0xedb88320u : 0u);
    }
    return entries;
  }();
  std::uint32_t crc = ~0u;
  for (const auto byte : bytes) crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(byte)) & 0xff];
  return ~crc;
}

template <class T>
void append(std::string& bytes, T number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}

// The number at the front, which is taken off.
template <class T>
T take(std::string_view& bytes) {
  T number;
  std::memcpy(&number, bytes.data(), sizeof number);
  bytes.remove_prefix(sizeof number);
  return number;
}

fs::path part_of(fs::path path) { return path += ".part"; }

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// Makes the folder; that it cannot be made shows again, with the file's name, when the file is opened.
fs::path in_folder(fs::path path) {
  std::error_code ignored;
  if (!path.has_filename() || fs::is_directory(path, ignored))
    throw graph::Error(path.generic_string() + ": a folder, expected a file's name");
  fs::create_directories(folder_of(path), ignored);
  return path;
}

}  // namespace

RecordingFile::RecordingFile(fs::path path, int flags)
    : path_(std::move(path)), descriptor_(::open(path_.c_str(), flags | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) fail_errno((flags & O_CREAT) != 0 ? "cannot write" : "cannot read");
}

RecordingFile::~RecordingFile() { ::close(descriptor_); }

void RecordingFile::fail(const std::string& text) const {
  throw graph::Error(path_.generic_string() + ": " + text);
}

void RecordingFile::fail_errno(const std::string& text) const { fail(text + ": " + std::strerror(errno)); }

// --- writing -------------------------------------------------------------------------------------------------

RecordingWriter::RecordingWriter(fs::path path)
    : path_(in_folder(std::move(path))), file_(part_of(path_), O_WRONLY | O_CREAT) {
  if (::flock(file_.descriptor(), LOCK_EX | LOCK_NB) != 0)
    file_.fail("another recorder is writing it; give each a path of its own");
  // Between opening and locking, the recorder that held the lock may have given the file its name.
  struct stat mine {
  }, named{};
  if (::fstat(file_.descriptor(), &mine) != 0 || ::stat(file_.path().c_str(), &named) != 0 ||
      mine.st_ino != named.st_ino)
    file_.fail("another recorder has just written it");
  if (::ftruncate(file_.descriptor(), 0) != 0) file_.fail_errno("cannot write");
}

void RecordingWriter::begin(const Head& head) { write('H', archive(head).fields); }

void RecordingWriter::add(std::uint64_t number, std::uint64_t nanoseconds, const Packed& body) {
  std::string bytes;
  bytes.reserve(message_head + body.fields.size() + body.payload.size());
  append(bytes, number);
  append(bytes, nanoseconds);
  append(bytes, static_cast<std::uint32_t>(body.fields.size()));
  bytes += body.fields;
  bytes += body.payload;
  write('M', bytes);
}

void RecordingWriter::end(const Totals& totals) {
  write('E', archive(totals).fields);
  if (::fsync(file_.descriptor()) != 0) file_.fail_errno("cannot flush to disk");
  std::error_code code;
  fs::rename(file_.path(), path_, code);
  if (code) file_.fail("cannot rename to " + path_.generic_string() + ": " + code.message());
  // The rename itself is on disk only once the folder is.
  const RecordingFile folder(folder_of(path_), O_RDONLY | O_DIRECTORY);
  if (::fsync(folder.descriptor()) != 0) folder.fail_errno("cannot flush to disk");
}

void RecordingWriter::write(char kind, std::string_view body) {
  std::string bytes;
  bytes.reserve(magic.size() + sizeof version + block_head + body.size());
  if (kind == 'H') append(bytes += magic, version);
  std::string head(1, kind);
  append(head, static_cast<std::uint64_t>(body.size()));
  append(head, crc32(body));
  append(head, crc32(head));
  bytes += head;
  bytes += body;
  for (std::string_view left = bytes; !left.empty();) {
    const auto put = ::write(file_.descriptor(), left.data(), left.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) file_.fail_errno("cannot write; what came before can be replayed");
    left.remove_prefix(static_cast<std::size_t>(put));
  }
}

// --- reading -------------------------------------------------------------------------------------------------

RecordingReader::RecordingReader(fs::path path) : file_(std::move(path), O_RDONLY | O_NONBLOCK) {
  struct stat status {};
  if (::fstat(file_.descriptor(), &status) != 0) file_.fail_errno("cannot read");
  if (!S_ISREG(status.st_mode)) file_.fail("not a file, expected a recording");
  if (status.st_size == 0) file_.fail("empty: nothing came before the recorder was stopped");
  auto start = read(magic.size());
  if (!start || *start != magic) file_.fail("not a recording");
  start = read(sizeof version);
  std::optional<Block> header;
  if (start) {
    std::string_view bytes = *start;
    const auto found = take<std::uint32_t>(bytes);
    if (found != version)
      file_.fail("a recording of version " + std::to_string(found) + ", and this program reads version " +
                 std::to_string(version) + "; replay it with the version that recorded it");
    header = read_block();
  }
  if (!header) file_.fail("cut off before its first message; nothing to replay");
  if (header->kind != 'H') damaged("it is no header");
  try {
    head_ = unarchive<Head>(header->body, {});
  } catch (const graph::Error& error) {
    file_.fail(std::string("its header cannot be read: ") + error.what());
  }
  ++blocks_;
}

std::optional<RecordedMessage> RecordingReader::next() {
  if (totals_) return std::nullopt;
  const auto block = read_block();
  if (!block) return std::nullopt;
  if (block->kind == 'E') {
    end(block->body);
    return std::nullopt;
  }
  std::string_view bytes = block->body;
  if (block->kind != 'M' || bytes.size() < message_head) damaged("it is no message");
  RecordedMessage message;
  message.number = take<std::uint64_t>(bytes);
  message.nanoseconds = take<std::uint64_t>(bytes);
  const auto size = take<std::uint32_t>(bytes);
  if (size > bytes.size()) damaged("it is shorter than it says");
  if (messages() > 0 && message.number <= last_number_) damaged("its number does not follow the one before");
  if (message.nanoseconds > longest || message.nanoseconds < last_nanoseconds_)
    damaged("its time does not follow the one before");
  try {
    message.body = unpack(head_.type, bytes.substr(0, size), bytes.substr(size));
  } catch (const graph::Error& error) {
    // Its bytes are as they were written, so they are another version's.
    file_.fail("record " + std::to_string(blocks_) + " cannot be read: " + error.what());
  }
  last_number_ = message.number;
  last_nanoseconds_ = message.nanoseconds;
  ++blocks_;
  return message;
}

void RecordingReader::end(std::string_view body) {
  try {
    totals_ = unarchive<Totals>(body, {});
  } catch (const graph::Error& error) {
    file_.fail(std::string("its end cannot be read: ") + error.what());
  }
  if (totals_->messages != messages())
    file_.fail("holds " + std::to_string(messages()) + " of the " + std::to_string(totals_->messages) +
               " messages that were recorded");
  if (read(1)) file_.fail("goes on behind its end");
}

std::optional<RecordingReader::Block> RecordingReader::read_block() {
  const auto head = read(block_head);
  if (!head) return std::nullopt;
  std::string_view bytes = *head;
  const auto checked = bytes.substr(0, block_head - sizeof(std::uint32_t));
  const auto kind = take<char>(bytes);
  const auto size = take<std::uint64_t>(bytes);
  const auto body_crc = take<std::uint32_t>(bytes);
  if (take<std::uint32_t>(bytes) != crc32(checked)) damaged("its checksum is wrong");
  auto body = read(size);
  if (!body) return std::nullopt;
  if (crc32(*body) != body_crc) damaged("its checksum is wrong");
  return Block{kind, std::move(*body)};
}

std::optional<std::string> RecordingReader::read(std::uint64_t bytes) {
  // Asked anew each time, since the file may be growing. Memory is taken only for what is there.
  struct stat status {};
  if (::fstat(file_.descriptor(), &status) != 0) file_.fail_errno("cannot read");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < position_ || size - position_ < bytes) return std::nullopt;
  std::string found(bytes, '\0');
  for (std::uint64_t done = 0; done < bytes;) {
    const auto got =
        ::pread(file_.descriptor(), found.data() + done, bytes - done, static_cast<off_t>(position_ + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) file_.fail_errno("cannot read");
    if (got == 0) return std::nullopt;
    done += static_cast<std::uint64_t>(got);
  }
  position_ += bytes;
  return found;
}

void RecordingReader::damaged(const std::string& how) const {
  if (blocks_ == 0) file_.fail("its header is damaged: " + how);
  file_.fail("record " + std::to_string(blocks_) + " is damaged: " + how + "; " + std::to_string(messages()) +
             " before it are whole");
}

}  // namespace stages
