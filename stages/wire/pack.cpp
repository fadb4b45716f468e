// pack: the registry of nouns by name.
#include "stages/wire/pack.h"

#include <torch/types.h>

#include <map>

#include "graph/error.h"
#include "stages/fields.h"
#include "stages/wire/archive.h"

namespace stages {
namespace {

struct Packer {
  Archived (*pack)(const graph::Any& body);
  graph::Any (*unpack)(std::string_view fields, std::string_view payload);
};

template <class... Noun>
std::map<std::string, Packer> packers_of(std::type_identity<std::tuple<Noun...>>) {
  return {{graph::type_of<Noun>().name,
           {[](const graph::Any& body) { return archive(body.as<Noun>()); },
            [](std::string_view fields, std::string_view payload) {
              return graph::Any::of(unarchive<Noun>(fields, payload));
            }}}...};
}

const std::map<std::string, Packer>& packers() {
  static const auto all = packers_of(std::type_identity<Nouns>{});
  return all;
}

std::string known() {
  std::string names;
  for (const auto& [name, packer] : packers()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace

bool travels(const std::string& type) { return packers().contains(type); }

Packed pack(const graph::Any& body) {
  const auto& type = body.type().name;
  const auto packer = packers().find(type);
  if (packer == packers().end())
    throw graph::Error(type + " cannot be recorded or sent; expected one of " + known());
  auto [fields, payload] = packer->second.pack(body);
  return {type, std::move(fields), std::move(payload)};
}

graph::Any unpack(const std::string& type, std::string_view fields, std::string_view payload) {
  const auto packer = packers().find(type);
  // The name is not repeated: it may be anything.
  if (packer == packers().end()) throw graph::Error("its type is not known here; expected one of " + known());
  try {
    return packer->second.unpack(fields, payload);
  } catch (const graph::Error& error) {
    throw graph::Error(type + ": " + error.what());
  }
}

}  // namespace stages
