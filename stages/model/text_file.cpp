// text_file: small texts from disk, and foreign words that are fit to be shown.
#include "stages/model/text_file.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace model {

std::string read_text(const std::filesystem::path& path) {
  const auto fail = [&](const char* what) { throw std::runtime_error(path.string() + ": " + what); };
  std::error_code code;
  if (!std::filesystem::exists(path, code)) fail("no such file");
  // A pipe would keep the reader waiting, a device would never end.
  if (!std::filesystem::is_regular_file(path, code)) fail("not a regular file");
  if (std::filesystem::file_size(path, code) > 64'000'000) fail("longer than any file of its kind");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) fail("cannot open");
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string printable(std::string_view text) {
  constexpr std::size_t longest = 80;
  std::string shown(text.substr(0, longest));
  std::ranges::replace_if(
      shown, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text.size() > longest ? shown + "…" : shown;
}

}  // namespace model
