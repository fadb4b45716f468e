// server: the end of commands that is bound, and what a command says.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <msgpack.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "stages/wire/endpoint.h"

namespace stages {

/// The keys and values of a command, which are a stranger's. Every key must be asked for.
class Arguments {
 public:
  explicit Arguments(const msgpack::object& map);

  /// All throw graph::Error of one line when the key is missing or its value is of another type.
  std::int64_t integer(const std::string& name);
  std::optional<std::int64_t> integer_if_any(const std::string& name);
  std::string text(const std::string& name);
  std::string_view bytes(const std::string& name);
  /// A number or a text, as text.
  std::string scalar(const std::string& name);
  /// Throws when there are keys that nobody asked for.
  void end() const;

 private:
  const msgpack::object* find(const std::string& name);

  const msgpack::object& map_;
  std::set<std::string> asked_;
};

/// What a command is answered with: the msgpack map behind `ok`.
using Answer = msgpack::sbuffer;

/// A bound ROUTER socket. Handlers run on the loop's thread: they must not wait.
class Server {
 public:
  /// A connection.
  struct Peer {
    std::string id;
    bool asks = false;  // speaks as REQ does, so that what is no answer would break it
    auto operator<=>(const Peer&) const = default;
  };
  /// `id` is the command's. Throws graph::Error to answer with an error.
  using Handler = std::function<Answer(const Peer& peer, std::int64_t id, Arguments& arguments)>;

  /// Ends what it was given for with its last copy; when that is done, no handler is called any more.
  using Claim = std::shared_ptr<const void>;
  struct Attendant {
    std::function<void(const Peer&)> heard;  // something came from it
    std::function<void(const Peer&)> gone;   // nothing can be sent to it any more
    std::function<void()> tick;              // about four times a second
  };

  virtual ~Server() = default;
  /// Has commands of that name handled. Throws graph::Error when the name is taken. Commands `put` are known by "put
  /// TOPIC".
  [[nodiscard]] virtual Claim handle(const std::string& command, Handler handler) = 0;
  /// Throws graph::Error when somebody attends already.
  [[nodiscard]] virtual Claim attend(Attendant attendant) = 0;
  /// Sends an event to a peer, unless it asks. Any thread, handlers too; never waits.
  virtual void tell(const Peer& peer, const std::string& event, std::optional<std::int64_t> session) = 0;
  virtual std::string endpoint() const = 0;
};

/// What commands may have in bytes, but for `put`.
constexpr std::size_t largest_command = 64 << 10;

/// The server bound there, for commands of at most `largest` bytes; stages of one pipeline that agree on that share it.
/// Throws graph::Error when the endpoint is no such, or taken.
std::shared_ptr<Server> serve_at(const std::string& endpoint, const BindKeys& keys, std::size_t largest);

}  // namespace stages
