// stage_type: the registries, and names of types.
#include "graph/stage_type.h"

#include <cxxabi.h>

#include <algorithm>
#include <cctype>
#include <condition_variable>
#include <mutex>
#include <utility>

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

// Where registrations go while a plugin is loaded.
Registrations* arriving = nullptr;

[[noreturn]] void twice(const char* what, const std::string& name) {
  std::fprintf(stderr, "%s '%s' is registered twice\n", what, name.c_str());
  std::abort();
}

}  // namespace

std::string type_name(const std::type_info& info) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(info.name(), nullptr, nullptr, &status), std::free);
  std::string name = text ? text.get() : info.name();
  const auto is_word = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  for (auto colon = name.find("::"); colon != std::string::npos; colon = name.find("::")) {
    auto begin = colon;
    // "(anonymous namespace)::"
    if (begin > 0 && name[begin - 1] == ')') begin = name.rfind('(', begin);
    while (begin > 0 && is_word(static_cast<unsigned char>(name[begin - 1]))) --begin;
    name.erase(begin, colon + 2 - begin);
  }
  return name;
}

void Any::not_a(const Type& expected) const {
  throw Error("expected " + expected.name + ", got " + (body_ ? type_->name : "nothing"));
}

bool Context::sleep_until(std::chrono::steady_clock::time_point when) const {
  std::mutex mutex;
  std::condition_variable_any wait;
  std::unique_lock lock(mutex);
  wait.wait_until(lock, stop_token(), when, [] { return false; });
  return !stopping();
}

const std::map<std::string, StageType>& stage_types() { return types(); }
std::size_t StageType::plain_output() const {
  if (outputs.size() == 1) return 0;
  const auto plain = [](const OutputPort& port) { return !port.opening; };
  if (std::ranges::count_if(outputs, plain) != 1) return outputs.size();
  return static_cast<std::size_t>(std::ranges::find_if(outputs, plain) - outputs.begin());
}

const std::map<std::string, Block>& blocks() { return all_blocks(); }

bool add_stage_type(StageType type) {
  if (arriving) {
    arriving->stage_types.push_back(std::move(type));
    return true;
  }
  auto name = type.name;
  if (!types().emplace(name, std::move(type)).second) twice("stage type", name);
  return true;
}

bool add_block(Block block) {
  if (arriving) {
    arriving->blocks.push_back(std::move(block));
    return true;
  }
  auto name = block.name;
  if (!all_blocks().emplace(name, std::move(block)).second) twice("block", name);
  return true;
}

Registrations registrations_during(const std::function<void()>& load) {
  Registrations arrived;
  arriving = &arrived;
  load();
  arriving = nullptr;
  return arrived;
}

}  // namespace graph
