// message: what travels on an edge.
//
// A message is an immutable value: its body is shared by everyone it fans out to and nobody writes to it
// after it was sent. Tensors and pixels inside a body are part of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <typeindex>
#include <utility>

namespace graph {

/// The type of a body, printable.
struct Type {
  std::type_index index;
  std::string name;  // as type_name() makes it

  bool operator==(const Type& other) const { return index == other.index; }
};

/// "Patches" for worldline::stages::Patches: the C++ name without its namespaces.
std::string type_name(const std::type_info& info);

template <class T>
const Type& type_of() {
  static const Type type{typeid(T), type_name(typeid(T))};
  return type;
}

/// A body of any type. As a stage's parameter or result it makes a port that takes every type (taps, count,
/// delay); null means that there is none.
class Any {
 public:
  Any() = default;
  template <class T>
  static Any of(T value) {
    return Any(std::make_shared<const T>(std::move(value)), type_of<T>());
  }
  Any(std::shared_ptr<const void> body, const Type& type) : body_(std::move(body)), type_(&type) {}

  explicit operator bool() const { return body_ != nullptr; }
  const Type& type() const { return *type_; }

  /// The body as a T, or nullptr when it is something else.
  template <class T>
  const T* get() const {
    return body_ && (type_ == &type_of<T>() || *type_ == type_of<T>()) ? static_cast<const T*>(body_.get())
                                                                       : nullptr;
  }
  /// The body as a T; throws Error when it is something else. Wiring rules that out but for sources of Any
  /// type, whose messages are known only when they come.
  template <class T>
  const T& as() const {
    if (const auto* body = get<T>()) return *body;
    not_a(type_of<T>());
  }

 private:
  [[noreturn]] void not_a(const Type& expected) const;

  std::shared_ptr<const void> body_;
  const Type* type_ = nullptr;
};

/// Holds one of a source's in-flight slots. Every message made from a source's message carries its credit on,
/// so that the slot comes back when the last descendant is gone, whatever became of them.
using Credit = std::shared_ptr<const void>;

/// A credit for a message that has two ancestors.
inline Credit combine(Credit a, Credit b) {
  if (!b || a == b) return a;
  if (!a) return b;
  return std::make_shared<std::pair<Credit, Credit>>(std::move(a), std::move(b));
}

struct Message {
  enum class Kind : std::uint8_t {
    data,
    tombstone,  // this number was filtered: joins that wait for it move on
    end,        // no message follows
  };

  Credit credit;             // the first member, so that it outlives the body it stands for
  Any body;                  // of data
  std::uint64_t number = 0;  // given by the source, kept by all descendants; ascends on every edge
  std::int64_t born_ns = 0;  // steady clock, when the source made the ancestor; for the age of data only
  Kind kind = Kind::data;
};

}  // namespace graph
