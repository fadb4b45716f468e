// adapter: reads a plain struct's signature and hooks as ports, and runs it as an Instance.
//
// Stage<T> uses it; the rules it implements stand at the top of stage.h.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "graph/stage_type.h"

namespace graph::detail {

template <class T>
struct Unwrap {
  using type = T;
};
template <class T>
struct Unwrap<std::optional<T>> {
  using type = T;
};

template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};

template <class T>
inline constexpr bool is_optional = !std::is_same_v<typename Unwrap<T>::type, T>;

template <class T>
const Type* port_type() {
  if constexpr (std::is_same_v<T, Any>)
    return nullptr;
  else
    return &type_of<T>();
}

/// The types that a result carries, std::optional and std::tuple taken off.
template <class R>
struct Results {
  using type = std::tuple<typename Unwrap<R>::type>;
};
template <>
struct Results<void> {
  using type = std::tuple<>;
};
template <class... R>
struct Results<std::tuple<R...>> {
  using type = std::tuple<typename Unwrap<R>::type...>;
};
template <class... R>
struct Results<std::optional<std::tuple<R...>>> {
  using type = std::tuple<typename Unwrap<R>::type...>;
};

/// Ports as operator()'s signature says.
template <class F>
struct Signature;
template <class T, class R, class... A>
struct Signature<R (T::*)(A...)> {
  using Result = R;
  using Arguments = std::tuple<std::remove_cvref_t<A>...>;
};
template <class T, class R, class... A>
struct Signature<R (T::*)(A...) const> : Signature<R (T::*)(A...)> {};

template <class A>
InputPort input_port() {
  InputPort port;
  if constexpr (is_optional<A>) {
    port.intake = Intake::sampled;
    port.type = port_type<typename Unwrap<A>::type>();
  } else if constexpr (is_vector<A>::value) {
    port.intake = Intake::gathered;
    port.type = port_type<typename A::value_type>();
  } else {
    port.type = port_type<A>();
  }
  return port;
}

/// One argument of operator() out of one port's input.
template <class A>
decltype(auto) argument(const Input& in) {
  if constexpr (is_optional<A>) {
    using T = typename Unwrap<A>::type;
    if constexpr (std::is_same_v<T, Any>)
      return in.one ? A(in.one) : A();
    else
      return in.one ? A(in.one.as<T>()) : A();
  } else if constexpr (is_vector<A>::value) {
    A all;
    all.reserve(in.many.size());
    for (const auto& any : in.many) {
      if constexpr (std::is_same_v<typename A::value_type, Any>)
        all.push_back(any);
      else
        all.push_back(any.as<typename A::value_type>());
    }
    return all;
  } else if constexpr (std::is_same_v<A, Any>) {
    return (in.one);
  } else {
    return in.one.as<A>();
  }
}

template <class T>
void put(T&& value, Any& out) {
  using V = std::remove_cvref_t<T>;
  if constexpr (is_optional<V>) {
    if (value) put(*std::forward<T>(value), out);
  } else if constexpr (std::is_same_v<V, Any>) {
    out = std::forward<T>(value);
  } else {
    out = Any::of<V>(std::forward<T>(value));
  }
}

/// Calls a hook with or without the context, and gives what it returns.
#define GRAPH_HOOK(hook)                                                                    \
  template <class T>                                                                        \
  constexpr bool has_##hook = requires(T t) {                                               \
    t.hook();                                                                               \
  }                                                                                         \
  || requires(T t, const Context& c) { t.hook(c); };                                        \
  template <class T>                                                                        \
  decltype(auto) call_##hook(T& stage, [[maybe_unused]] const Context& context) {           \
    if constexpr (requires { stage.hook(context); })                                        \
      return stage.hook(context);                                                           \
    else                                                                                    \
      return stage.hook();                                                                  \
  }                                                                                         \
  template <class T, bool = has_##hook<T>>                                                  \
  struct Result_##hook {                                                                    \
    using type = void;                                                                      \
  };                                                                                        \
  template <class T>                                                                        \
  struct Result_##hook<T, true> {                                                           \
    using type = decltype(call_##hook(std::declval<T&>(), std::declval<const Context&>())); \
  };
GRAPH_HOOK(start)
GRAPH_HOOK(idle)
GRAPH_HOOK(finish)
#undef GRAPH_HOOK

/// Where in Results a hook's value goes, or -1.
template <class V, class... R>
int position(std::type_identity<std::tuple<R...>>) {
  int at = -1, index = 0;
  ((std::is_same_v<V, R> && at < 0 ? void(at = index) : void(), ++index), ...);
  return at;
}

template <class T, class = void>
struct ParamsOf {
  struct type {};
};
template <class T>
struct ParamsOf<T, std::void_t<typename T::Params>> {
  using type = typename T::Params;
};

template <class T>
class Adapter final : public Instance {
 public:
  using Call = Signature<decltype(&T::operator())>;
  using Arguments = typename Call::Arguments;
  using Returned = typename Results<typename Call::Result>::type;
  using Params = typename ParamsOf<T>::type;

  static constexpr bool takes_context() {
    constexpr auto n = std::tuple_size_v<Arguments>;
    if constexpr (n == 0)
      return false;
    else
      return std::is_same_v<std::tuple_element_t<n - 1, Arguments>, Context>;
  }
  static constexpr std::size_t inputs = std::tuple_size_v<Arguments> - (takes_context() ? 1 : 0);

  explicit Adapter(const Params& params) {
    if constexpr (requires { stage_.params; }) stage_.params = params;
  }

  bool call(std::span<const Input> in, std::span<Any> out, const Context& context) override {
    return apply(in, out, context, std::make_index_sequence<inputs>{});
  }
  void start([[maybe_unused]] std::span<Any> out, [[maybe_unused]] const Context& context) override {
    if constexpr (has_start<T>) hook(out, [&]() -> decltype(auto) { return call_start(stage_, context); });
  }
  void idle([[maybe_unused]] std::span<Any> out, [[maybe_unused]] const Context& context) override {
    if constexpr (has_idle<T>) hook(out, [&]() -> decltype(auto) { return call_idle(stage_, context); });
  }
  void finish([[maybe_unused]] std::span<Any> out, [[maybe_unused]] const Context& context) override {
    if constexpr (has_finish<T>) hook(out, [&]() -> decltype(auto) { return call_finish(stage_, context); });
  }
  void* params() override {
    if constexpr (requires { stage_.params; })
      return &stage_.params;
    else
      return nullptr;
  }

  /// Position of a hook's result among the outputs; the first position after operator()'s for a new type.
  template <class V>
  static int output_of() {
    const int at = position<V>(std::type_identity<Returned>{});
    return at >= 0 ? at : static_cast<int>(std::tuple_size_v<Returned>);
  }

 private:
  template <std::size_t... I>
  bool apply([[maybe_unused]] std::span<const Input> in, std::span<Any> out,
             [[maybe_unused]] const Context& context, std::index_sequence<I...>) {
    const auto run = [&]() -> decltype(auto) {
      if constexpr (takes_context())
        return stage_(argument<std::tuple_element_t<I, Arguments>>(in[I])..., context);
      else
        return stage_(argument<std::tuple_element_t<I, Arguments>>(in[I])...);
    };
    if constexpr (std::is_void_v<typename Call::Result>) {
      run();
      return true;
    } else {
      return scatter(run(), out);
    }
  }

  template <class R>
  static bool scatter(R&& result, std::span<Any> out) {
    using V = std::remove_cvref_t<R>;
    if constexpr (is_optional<V>) {
      return result ? (scatter(*std::forward<R>(result), out), true) : false;
    } else if constexpr (requires { std::tuple_size<V>::value; }) {
      std::size_t i = 0;
      std::apply([&](auto&&... each) { (put(std::forward<decltype(each)>(each), out[i++]), ...); },
                 std::forward<R>(result));
      return true;
    } else {
      put(std::forward<R>(result), out[0]);
      return true;
    }
  }

  template <class F>
  static void hook(std::span<Any> out, F&& run) {
    using R = std::remove_cvref_t<decltype(run())>;
    if constexpr (std::is_void_v<R>)
      run();
    else
      put(run(), out[static_cast<std::size_t>(output_of<typename Unwrap<R>::type>())]);
  }

  T stage_{};
};

}  // namespace graph::detail
