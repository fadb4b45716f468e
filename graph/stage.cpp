// stage: the registries, and names of types.
#include "graph/stage.h"

#include <cxxabi.h>

namespace graph {
namespace {

std::map<std::string, StageType>& types() {
  static std::map<std::string, StageType> all;
  return all;
}

std::map<std::string, Block>& all_blocks() {
  static std::map<std::string, Block> all;
  return all;
}

[[noreturn]] void twice(const char* what, const std::string& name) {
  std::fprintf(stderr, "%s '%s' is registered twice\n", what, name.c_str());
  std::abort();
}

}  // namespace

std::string type_name(const std::type_info& info) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(info.name(), nullptr, nullptr, &status),
                                                    std::free);
  std::string name = text ? text.get() : info.name();
  const auto colon = name.rfind("::");
  return colon == std::string::npos ? name : name.substr(colon + 2);
}

const std::map<std::string, StageType>& stage_types() { return types(); }
const std::map<std::string, Block>& blocks() { return all_blocks(); }

bool add_stage_type(StageType type) {
  auto name = type.name;
  if (!types().emplace(name, std::move(type)).second) twice("stage type", name);
  return true;
}

bool add_block(Block block) {
  auto name = block.name;
  if (!all_blocks().emplace(name, std::move(block)).second) twice("block", name);
  return true;
}

}  // namespace graph
