// safetensors: reads and writes the format of that name, a JSON header and raw little-endian numbers.
#include "stages/model/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <torch/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <vector>

#include "stages/model/text_file.h"

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

namespace model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Some 40,000 tensors. Parsed, a header takes up to twenty times its length.
constexpr std::uint64_t max_header_bytes = 4'000'000;

struct NamedType {
  const char* name;
  at::ScalarType type;
};
constexpr std::array types = {
    NamedType{"F64", at::kDouble},    NamedType{"F32", at::kFloat}, NamedType{"F16", at::kHalf},
    NamedType{"BF16", at::kBFloat16}, NamedType{"I64", at::kLong},  NamedType{"I32", at::kInt},
    NamedType{"I16", at::kShort},     NamedType{"I8", at::kChar},   NamedType{"U8", at::kByte},
    NamedType{"BOOL", at::kBool},
};

// A file descriptor that closes itself and names its file in errors.
class File {
 public:
  File(fs::path path, int flags)
      : path_(std::move(path)), descriptor_(::open(path_.c_str(), flags | O_CLOEXEC, 0644)) {
    if (descriptor_ < 0) fail_errno("cannot open");
  }
  ~File() { ::close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(path_.string() + ": " + what);
  }
  [[noreturn]] void fail_errno(const std::string& what) const { fail(what + ": " + std::strerror(errno)); }

  std::uint64_t size() const {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) fail_errno("cannot read");
    if (!S_ISREG(status.st_mode)) fail("not a regular file, expected a safetensors file");
    return static_cast<std::uint64_t>(status.st_size);
  }

  void read(void* to, std::uint64_t count, std::uint64_t offset) const {
    auto* bytes = static_cast<char*>(to);
    while (count > 0) {
      const ssize_t got = ::pread(descriptor_, bytes, count, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail_errno("cannot read");
      if (got == 0) fail("cut off at byte " + std::to_string(offset));
      bytes += got;
      offset += static_cast<std::uint64_t>(got);
      count -= static_cast<std::uint64_t>(got);
    }
  }

  void write(const void* from, std::uint64_t count) const {
    const auto* bytes = static_cast<const char*>(from);
    while (count > 0) {
      const ssize_t put = ::write(descriptor_, bytes, count);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) fail_errno("cannot write");
      bytes += put;
      count -= static_cast<std::uint64_t>(put);
    }
  }

  void flush() const {
    if (::fsync(descriptor_) != 0) fail_errno("cannot flush to disk");
  }

 private:
  fs::path path_;
  int descriptor_;
};

Json parse_header(const File& file, const std::string& text) {
  // One set of keys per open object: a second entry of one name would silently win over the first.
  std::vector<std::set<std::string>> keys;
  const auto strict = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > 3) file.fail("the header is nested too deeply to be a safetensors header");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      file.fail("the header has two entries named '" + printable(value.get<std::string>()) + "'");
    }
    return true;
  };
  try {
    Json header = Json::parse(text, strict);
    if (header.is_object()) return header;
  } catch (const Json::exception&) {
    // The parser's own words would quote the file's bytes.
  }
  file.fail("the header is not a JSON object, expected a safetensors file");
}

struct Entry {
  std::string name;
  at::ScalarType type;
  std::vector<std::int64_t> sizes;
  std::uint64_t begin, end;  // bytes, from the end of the header
};

Entry parse_entry(const File& file, const std::string& name, const Json& json) {
  const auto fail = [&](const std::string& what) { file.fail("tensor '" + printable(name) + "': " + what); };
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets")) {
    fail("expected an object with dtype, shape and data_offsets");
  }
  const Json &dtype = json["dtype"], &shape = json["shape"], &offsets = json["data_offsets"];
  if (!dtype.is_string()) fail("dtype is no string");
  const auto type =
      std::find_if(types.begin(), types.end(), [&](const NamedType& each) { return dtype == each.name; });
  if (type == types.end()) {
    std::string known;
    for (const NamedType& each : types) known += std::string(known.empty() ? "" : ", ") + each.name;
    fail("unknown dtype " + dtype.dump(-1, ' ', false, Json::error_handler_t::replace) +
         ", expected one of " + known);
  }
  if (!shape.is_array()) fail("shape is no list");
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned()) {
    fail("data_offsets are not two numbers");
  }
  Entry entry{name, type->type, {}, offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};
  // Zeros come last, so that no product of the others goes unchecked.
  std::uint64_t bytes = c10::elementSize(type->type);
  bool empty = false;
  for (const Json& size : shape) {
    if (!size.is_number_unsigned() || size.get<std::uint64_t>() > std::uint64_t{1} << 62)
      fail("a shape is out of range");
    const auto length = size.get<std::uint64_t>();
    entry.sizes.push_back(static_cast<std::int64_t>(length));
    if (length == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(bytes, length, &bytes) || bytes > std::uint64_t{1} << 62) {
      fail("its shape overflows");
    }
  }
  if (empty) bytes = 0;
  if (entry.end < entry.begin || entry.end - entry.begin != bytes) {
    fail("its offsets span " + std::to_string(entry.begin) + " to " + std::to_string(entry.end) +
         ", expected " + std::to_string(bytes) + " bytes");
  }
  return entry;
}

std::map<std::string, std::string> parse_metadata(const File& file, const Json& json) {
  std::map<std::string, std::string> metadata;
  if (!json.is_object()) file.fail("__metadata__ is no object");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) file.fail("metadata '" + printable(key) + "' is no string");
    metadata.emplace(key, value.get<std::string>());
  }
  return metadata;
}

struct Header {
  Json json;
  std::uint64_t data_begin;
};

Header read_header(const File& file) {
  const std::uint64_t file_bytes = file.size();
  std::uint64_t header_bytes = 0;
  if (file_bytes < sizeof header_bytes) {
    file.fail("only " + std::to_string(file_bytes) + " bytes long, expected a safetensors file");
  }
  file.read(&header_bytes, sizeof header_bytes, 0);
  if (header_bytes > max_header_bytes || header_bytes > file_bytes - sizeof header_bytes) {
    file.fail("its header claims " + std::to_string(header_bytes) + " bytes of " +
              std::to_string(file_bytes) + ": cut off or not a safetensors file");
  }
  std::string text(header_bytes, '\0');
  file.read(text.data(), header_bytes, sizeof header_bytes);
  return {parse_header(file, text), sizeof header_bytes + header_bytes};
}

}  // namespace

std::map<std::string, std::string> read_metadata(const fs::path& path) {
  const File file(path, O_RDONLY | O_NONBLOCK);
  const auto header = read_header(file);
  const auto metadata = header.json.find("__metadata__");
  if (metadata == header.json.end()) return {};
  return parse_metadata(file, *metadata);
}

TensorFile read_safetensors(const fs::path& path) {
  const File file(path, O_RDONLY | O_NONBLOCK);
  const auto [header, data_begin] = read_header(file);
  TensorFile result;
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(file, name, json));
      continue;
    }
    result.metadata = parse_metadata(file, json);
  }

  // Tensors lie one behind the other and fill the file: that leaves no room for overlaps or for lying
  // offsets.
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  const std::uint64_t data_bytes = file.size() - data_begin;
  std::uint64_t expected = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != expected) {
      file.fail("tensor '" + printable(entry.name) + "' begins at byte " + std::to_string(entry.begin) +
                " of the data, expected " + std::to_string(expected) + " (overlap or gap)");
    }
    expected = entry.end;
  }
  if (expected != data_bytes) {
    file.fail("its tensors need " + std::to_string(expected) + " bytes and it has " +
              std::to_string(data_bytes) + ": cut off or foreign");
  }

  for (const Entry& entry : entries) {
    // A bool of any value but 0 and 1 is undefined behaviour, so bools come in as bytes.
    const bool is_bool = entry.type == at::kBool;
    at::Tensor tensor = at::empty(entry.sizes, at::dtype(is_bool ? at::kByte : entry.type));
    file.read(tensor.data_ptr(), entry.end - entry.begin, data_begin + entry.begin);
    result.tensors.add(entry.name, is_bool ? tensor.ne(0) : tensor);
  }
  return result;
}

void write_safetensors(const fs::path& path, const TensorFile& contents) {
  // Wide types first keeps every tensor aligned, which other readers map straight into memory.
  struct Item {
    const std::string* name;
    at::Tensor tensor;
  };
  std::vector<Item> items;
  for (std::size_t i = 0; i < contents.tensors.size(); ++i) {
    items.push_back({&contents.tensors.names[i], contents.tensors.tensors[i].detach().cpu().contiguous()});
  }
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.tensor.element_size() > b.tensor.element_size();
  });

  Json header = Json::object();
  if (!contents.metadata.empty()) header["__metadata__"] = contents.metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : items) {
    const auto type = std::find_if(types.begin(), types.end(),
                                   [&](const NamedType& each) { return each.type == tensor.scalar_type(); });
    if (type == types.end()) {
      throw std::runtime_error(path.string() + ": tensor '" + *name + "' is " +
                               c10::toString(tensor.scalar_type()) + ", which safetensors has no name for");
    }
    const std::uint64_t end = offset + tensor.nbytes();
    header[*name] = {{"dtype", type->name}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t header_bytes = text.size();

  fs::path temporary = path;
  temporary += ".tmp";
  try {
    const File file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    file.write(&header_bytes, sizeof header_bytes);
    file.write(text.data(), text.size());
    for (const Item& item : items) file.write(item.tensor.data_ptr(), item.tensor.nbytes());
    file.flush();
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw std::runtime_error(path.string() + ": cannot rename " + temporary.string() + ": " +
                             error.message());
  }
  // The rename itself is on disk only once the folder is.
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  File(folder, O_RDONLY | O_DIRECTORY).flush();
}

}  // namespace model
