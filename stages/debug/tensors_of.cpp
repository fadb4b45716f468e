// tensors_of: walks through a noun's fields and keeps the tensors.
#include "stages/debug/tensors_of.h"

#include "graph/error.h"
#include "stages/fields.h"

namespace stages {
namespace {

struct Collect {
  Collect& operator()(const char* name, const at::Tensor& tensor) {
    found.emplace_back(name, tensor);
    return *this;
  }
  template <class T>
  Collect& operator()(const char*, const std::vector<T>& values) {
    for (auto value : values) fields(value, *this);
    return *this;
  }
  template <class T>
  Collect& operator()(const char*, const T&) {
    return *this;
  }

  std::vector<std::pair<std::string, at::Tensor>> found;
};

template <class Noun>
void collect(const graph::Any& message, Collect& tensors) {
  if (const auto* body = message.get<Noun>()) {
    auto noun = *body;
    fields(noun, tensors);
  }
}

}  // namespace

std::vector<std::pair<std::string, at::Tensor>> tensors_of(const graph::Any& message) {
  Collect tensors;
  [&]<class... Noun>(std::type_identity<std::tuple<Noun...>>) {
    (collect<Noun>(message, tensors), ...);
  }(std::type_identity<Nouns>{});
  if (tensors.found.empty()) throw graph::Error(message.type().name + " has no tensors to look at");
  return std::move(tensors.found);
}

}  // namespace stages
