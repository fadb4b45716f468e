// plugin: reading where an object comes from, loading it, letting its registrations in.
#include "graph/plugin.h"

#include <dlfcn.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/stage_type.h"

namespace graph {
namespace {

namespace fs = std::filesystem;

// In a plugin, what it was built from stands behind this; see worldline-config.cmake.
constexpr std::string_view mark = "worldline-plugin-abi:";
constexpr const char* ours = WORLDLINE_ABI;

// Why the file cannot be a plugin of this program, or "".
std::string objection(const fs::path& path) {
  std::error_code code;
  if (!fs::exists(path, code)) return "no such file";
  if (!fs::is_regular_file(path, code)) return "not a file";
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return "cannot be opened for reading";
  std::string bytes(4, '\0');
  stream.read(bytes.data(), 4);
  if (bytes !=
      "\x7f"
      "ELF")
    return "not a shared object";
  bytes.append(std::istreambuf_iterator<char>(stream), {});
  const auto at = bytes.find(mark);
  if (at == std::string::npos)
    return "not a plugin of worldline; expected one that worldline_plugin() of its CMake package has built";
  const std::string theirs = bytes.c_str() + at + mark.size();
  if (theirs == ours) return "";
  return "built for worldline " + theirs.substr(0, 100) + ", and this is " + ours +
         "; build both anew, the plugin last";
}

// What the registries have already, or the object has twice; "" when all of it is new.
std::string taken(const Registrations& arrived) {
  std::set<std::string> names;
  for (const auto& type : arrived.stage_types)
    if (stage_types().contains(type.name) || !names.insert(type.name).second)
      return "stage type '" + type.name + "'";
  names.clear();
  for (const auto& block : arrived.blocks)
    if (blocks().contains(block.name) || !names.insert(block.name).second)
      return "block '" + block.name + "'";
  return "";
}

// Why the object cannot be loaded, or "" when its stages are there.
std::string load(const fs::path& path) {
  void* object = nullptr;
  auto arrived = registrations_during([&] { object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); });
  if (!object) return dlerror();
  if (const auto name = taken(arrived); !name.empty()) {
    arrived = {};  // before the code that it points to
    dlclose(object);
    return name + " is registered already; give it another name";
  }
  for (auto& type : arrived.stage_types) add_stage_type(std::move(type));
  for (auto& block : arrived.blocks) add_block(std::move(block));
  return "";
}

}  // namespace

Value load_plugins(const Value& list, const fs::path& folder) {
  if (!list.is_list()) throw Error(list.place, "'plugins' must be a list of files, got " + list.describe());
  static std::set<fs::path> loaded;
  std::set<fs::path> listed;
  std::vector<Problem> problems;
  auto whole = list;
  for (auto& item : whole.items) {
    if (!item.is_scalar()) {
      problems.push_back({item.place, "expected a file name, got " + item.describe()});
      continue;
    }
    std::error_code code;
    const auto path = fs::weakly_canonical(fs::absolute(folder / item.scalar, code), code);
    auto why = listed.insert(path).second ? "" : std::string("is listed twice");
    if (why.empty() && !loaded.contains(path)) {
      why = objection(path);
      if (why.empty()) why = load(path);
      if (why.empty()) loaded.insert(path);
    }
    if (!why.empty()) problems.push_back({item.place, "plugin '" + item.scalar + "': " + why});
    item.scalar = path.generic_string();
  }
  if (!problems.empty()) throw Error(std::move(problems));
  return whole;
}

}  // namespace graph
