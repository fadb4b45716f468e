// parallel: spreads parts of a kernel over the cores of the arena that it runs in.
#pragma once

#include <cstdint>

namespace model::kernels {

// A function body(begin, end), which must outlive this. No std::function: see vector.h.
class Body {
 public:
  template <class Function>
  Body(const Function& function)
      : function_(&function), call_([](const void* of, std::int64_t begin, std::int64_t end) {
          (*static_cast<const Function*>(of))(begin, end);
        }) {}

  void operator()(std::int64_t begin, std::int64_t end) const { call_(function_, begin, end); }

 private:
  const void* function_;
  void (*call_)(const void* of, std::int64_t begin, std::int64_t end);
};

// body(begin, end) for all of [0, parts), cut where that pays: a core gets half a million operations at least. While a
// thread waits for others it takes no foreign work.
void spread(std::int64_t parts, double flop_of_part, Body body);

}  // namespace model::kernels
