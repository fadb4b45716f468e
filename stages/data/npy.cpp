// npy: reads and writes .npy, NumPy's file of one array.
//
//   magic "\x93NUMPY", version (2 bytes), header length (2 bytes, from version 2 on 4), header, numbers
//   header: a Python dict {'descr': '<i8', 'fortran_order': False, 'shape': (972000,), } and blanks
#include "stages/data/npy.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "graph/error.h"

static_assert(std::endian::native == std::endian::little,
              "numbers are read and written as they lie in memory");

namespace stages {
namespace {

using namespace std::string_literals;

constexpr std::string_view magic = "\x93NUMPY";
constexpr std::size_t max_header = 10'000;   // NumPy's own limit
constexpr std::size_t written_header = 128;  // with the magic: room for any shape that a disk can hold

struct Header {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::int64_t>> shape;
};

// The part of Python's literals that NumPy writes. Every method throws a text that says what was expected.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  Header parse() {
    Header header;
    expect('{');
    while (!accept('}')) {
      const auto key = string();
      expect(':');
      if (key == "descr")
        once(header.descr, key, descr());
      else if (key == "fortran_order")
        once(header.fortran_order, key, boolean());
      else if (key == "shape")
        once(header.shape, key, tuple());
      else
        throw graph::Error("unknown key '" + key + "'");
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_blanks();
    if (!rest_.empty()) throw graph::Error("text behind the '}'");
    if (!header.descr || !header.fortran_order || !header.shape)
      throw graph::Error("expected descr, fortran_order and shape");
    return header;
  }

 private:
  template <class T>
  static void once(std::optional<T>& to, const std::string& key, T value) {
    if (to) throw graph::Error("two entries named '" + key + "'");
    to = std::move(value);
  }

  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n"), rest_.size())); }

  bool accept(char c) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void expect(char c) {
    if (!accept(c)) throw graph::Error("expected '"s + c + "'");
  }

  std::string string() {
    skip_blanks();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    const auto end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
    if (end == std::string_view::npos) throw graph::Error("expected a string");
    const std::string text(rest_.substr(1, end - 1));
    // A file may hold anything, and this text is shown.
    for (const unsigned char c : text)
      if (c < ' ' || c > '~' || c == '\\') throw graph::Error("expected plain letters in a string");
    rest_.remove_prefix(end + 1);
    return text;
  }

  std::string descr() {
    skip_blanks();
    if (rest_.starts_with('[')) throw graph::Error("its items are structures, expected plain numbers");
    return string();
  }

  bool boolean() {
    skip_blanks();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (rest_.starts_with(word)) {
        rest_.remove_prefix(word.size());
        return value;
      }
    throw graph::Error("expected True or False");
  }

  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> numbers;
    expect('(');
    while (!accept(')')) {
      skip_blanks();
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
      if (error != std::errc() || number < 0) throw graph::Error("expected a shape of natural numbers");
      numbers.push_back(number);
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return numbers;
  }

  std::string_view rest_;
};

// Bytes of a number that can be read here; 0 for others.
std::size_t item_size(std::string_view dtype) {
  for (const std::string_view known :
       {"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"})
    if (dtype == known) return static_cast<std::size_t>(known[2] - '0');
  return 0;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const auto size : shape) text += std::to_string(size) + ",";
  if (shape.size() > 1) text.pop_back();  // a Python tuple of one keeps its comma
  return "(" + text + ")";
}

// Bytes of an array; nothing when they overflow.
std::optional<std::size_t> array_bytes(const std::vector<std::int64_t>& shape, std::size_t item) {
  std::size_t bytes = item;
  for (const auto size : shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(size), &bytes)) return std::nullopt;
  return bytes;
}

template <class T>
std::int64_t number_at(const std::byte* data, std::int64_t i) {
  T number;
  std::memcpy(&number, data + i * static_cast<std::int64_t>(sizeof number), sizeof number);
  // Beyond the range of the result is beyond any count or index as well.
  return std::in_range<std::int64_t>(number) ? static_cast<std::int64_t>(number)
                                             : std::numeric_limits<std::int64_t>::max();
}

}  // namespace

// --- reading -------------------------------------------------------------------------------------------------

NpyFile::NpyFile(std::filesystem::path path) : path_(std::move(path)) {
  map();
  read_header();
}

NpyFile::Mapping::~Mapping() {
  if (begin) ::munmap(begin, size);
}

void NpyFile::map() {
  // Without O_NONBLOCK a pipe would wait for its other end.
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) fail("cannot open: "s + std::strerror(errno));
  struct stat status {};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  const auto size = regular ? static_cast<std::size_t>(status.st_size) : 0;
  void* const begin = size ? ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0) : MAP_FAILED;
  const int error = errno;
  ::close(descriptor);
  if (!regular) fail("not a regular file, expected a .npy file");
  if (size == 0) fail("0 bytes long, expected a .npy file");
  if (begin == MAP_FAILED) fail("cannot map into memory: "s + std::strerror(error));
  file_.begin = static_cast<std::byte*>(begin);
  file_.size = size;
}

void NpyFile::read_header() {
  const auto* const text = reinterpret_cast<const char*>(file_.begin);
  if (!std::string_view(text, file_.size).starts_with(magic))
    fail(
        "not a .npy file: it does not begin with \\x93NUMPY; write it with numpy.save, or, if it came by "
        "git, "
        "fetch it with git lfs pull");
  const auto cut_off = [&](std::size_t expected) {
    fail("cut off: " + std::to_string(file_.size) + " bytes long, expected " + std::to_string(expected) +
         "; copy or download it again");
  };
  std::size_t begin = magic.size() + 4;
  if (file_.size < begin + 2) cut_off(begin + 2);
  const int major = text[6], minor = text[7];
  if (major < 1 || major > 3 || minor != 0)
    fail("format version " + std::to_string(major) + "." + std::to_string(minor) +
         ", expected 1.0, 2.0 or 3.0");
  const auto* const length = file_.begin + 8;
  const auto header_bytes = static_cast<std::size_t>(major == 1 ? number_at<std::uint16_t>(length, 0)
                                                                : number_at<std::uint32_t>(length, 0));
  if (major > 1) begin += 2;
  if (header_bytes > max_header)
    fail("its header claims " + std::to_string(header_bytes) + " bytes, expected at most " +
         std::to_string(max_header) + "; an array of plain numbers needs about 100");
  begin += header_bytes;
  if (file_.size < begin) cut_off(begin);

  Header header;
  try {
    header = HeaderParser({text + begin - header_bytes, header_bytes}).parse();
  } catch (const graph::Error& error) {
    fail("bad header: "s + error.what());
  }
  dtype_ = *header.descr;
  shape_ = *header.shape;
  const auto size = item_size(dtype_);
  if (dtype_.starts_with('>') && item_size("<" + dtype_.substr(1)))
    fail("its numbers are big-endian ('" + dtype_ + "'), expected little-endian; save array.astype('<" +
         dtype_.substr(1) + "')");
  if (dtype_.size() > 1 && dtype_[1] == 'O')
    fail("its items are Python objects, which are not read; save numbers: array.astype('uint8')");
  if (size == 0)
    fail("its items are '" + dtype_ + "', expected plain integers or floats, such as '|u1' or '<i8'");
  if (*header.fortran_order)
    fail("it is in Fortran order, expected C order; save numpy.ascontiguousarray(array)");
  const auto bytes = array_bytes(shape_, size);
  if (!bytes) fail("its shape " + shape_text(shape_) + " overflows");
  if (*bytes == 0) fail("its shape is " + shape_text(shape_) + ": empty, expected at least one item");
  if (*bytes > file_.size - begin) {
    fail("cut off: " + std::to_string(file_.size) + " bytes long, expected " + std::to_string(begin) +
         " and " + std::to_string(*bytes) + " more for shape " + shape_text(shape_) +
         "; copy or download it again");
  }
  if (*bytes < file_.size - begin)
    fail(std::to_string(file_.size - begin - *bytes) + " bytes follow the array of shape " +
         shape_text(shape_) + ", expected the end of the file; save one array a file");
  data_ = file_.begin + begin;
}

void NpyFile::fail(const std::string& what) const {
  throw graph::Error(path_.generic_string() + ": " + what);
}

void NpyFile::require_dimensions(std::size_t count, const char* expected) const {
  if (shape_.size() != count) fail("its shape is " + shape_text(shape_) + ", expected " + expected);
}

void NpyFile::require_integers() const {
  if (dtype_[1] != 'i' && dtype_[1] != 'u') fail("its numbers are '" + dtype_ + "', expected integers");
}

std::int64_t NpyFile::integer(std::int64_t i) const {
  const bool is_signed = dtype_[1] == 'i';
  switch (dtype_[2]) {
    case '1':
      return is_signed ? number_at<std::int8_t>(data_, i) : number_at<std::uint8_t>(data_, i);
    case '2':
      return is_signed ? number_at<std::int16_t>(data_, i) : number_at<std::uint16_t>(data_, i);
    case '4':
      return is_signed ? number_at<std::int32_t>(data_, i) : number_at<std::uint32_t>(data_, i);
    default:
      return is_signed ? number_at<std::int64_t>(data_, i) : number_at<std::uint64_t>(data_, i);
  }
}

void NpyFile::expect_jumps() const { ::madvise(file_.begin, file_.size, MADV_RANDOM); }

void NpyFile::drop() const { ::madvise(file_.begin, file_.size, MADV_DONTNEED); }

void NpyFile::fetch(std::int64_t offset, std::int64_t bytes) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto from = static_cast<std::size_t>(data_ - file_.begin + offset);
  const auto begin = from / page * page;
  ::madvise(file_.begin + begin, from + static_cast<std::size_t>(bytes) - begin, MADV_WILLNEED);
}

// --- writing -------------------------------------------------------------------------------------------------

NpyWriter::NpyWriter(std::filesystem::path path, std::string dtype)
    : path_(std::move(path)), part_(path_.string() + ".part"), dtype_(std::move(dtype)) {
  descriptor_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (descriptor_ < 0) fail("cannot open");
  try {
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0)
      fail(errno == EWOULDBLOCK ? "another run is writing it" : "cannot lock");
    // Between opening and locking, the run that held the lock may have given the file its name.
    struct stat mine {
    }, named{};
    if (::fstat(descriptor_, &mine) != 0 || ::stat(part_.c_str(), &named) != 0 || mine.st_ino != named.st_ino)
      fail("another run has just written it");
    // What a killed run left behind. The header is written last, into a hole.
    if (::ftruncate(descriptor_, 0) != 0 || ::lseek(descriptor_, written_header, SEEK_SET) < 0)
      fail("cannot write");
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

NpyWriter::~NpyWriter() {
  if (!published_) ::unlink(part_.c_str());
  ::close(descriptor_);
}

void NpyWriter::append(const void* numbers, std::size_t bytes) {
  write(numbers, bytes);
  appended_ += bytes;
}

void NpyWriter::flush(const std::vector<std::int64_t>& shape) {
  graph::require(array_bytes(shape, item_size(dtype_)) == appended_,
                 "the shape is not that of what was written");
  std::string header(magic);
  header += {1, 0, written_header - 10, 0};  // version, length
  header += "{'descr': '" + dtype_ + "', 'fortran_order': False, 'shape': " + shape_text(shape) + ", }";
  graph::require(header.size() < written_header, "the shape does not fit into a header");
  header.resize(written_header, ' ');
  header.back() = '\n';
  if (::lseek(descriptor_, 0, SEEK_SET) < 0) fail("cannot write");
  write(header.data(), header.size());
  if (::fsync(descriptor_) != 0) fail("cannot flush to disk");
}

void NpyWriter::publish() {
  if (::rename(part_.c_str(), path_.c_str()) != 0) fail("cannot rename");
  published_ = true;
}

void NpyWriter::fail(const char* what) const {
  throw graph::Error(part_.generic_string() + ": " + what + ": " + std::strerror(errno));
}

void NpyWriter::write(const void* from, std::size_t bytes) const {
  const auto* next = static_cast<const std::byte*>(from);
  while (bytes > 0) {
    const auto put = ::write(descriptor_, next, bytes);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("cannot write");
    next += put;
    bytes -= static_cast<std::size_t>(put);
  }
}

void flush_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool flushed = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int error = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!flushed)
    throw graph::Error(folder.generic_string() + ": cannot flush to disk: " + std::strerror(error));
}

}  // namespace stages
