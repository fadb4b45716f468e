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

  virtual ~Server() = default;
  /// Has commands of that name handled from now on; a null handler ends that, and when it returns the old one is not
  /// called any more. Throws graph::Error when the name is taken. Commands `put` are known by "put TOPIC".
  virtual void handle(const std::string& command, Handler handler) = 0;
  /// Called with a peer to whom something could not be sent because it is gone.
  virtual void on_gone(std::function<void(const Peer&)> handler) = 0;
  /// Sends an event to a peer, unless it asks. Any thread, handlers too; never waits.
  virtual void tell(const Peer& peer, const std::string& event, std::optional<std::int64_t> session) = 0;
  virtual std::string endpoint() const = 0;
};

/// The server bound there; stages of one pipeline share it. Throws graph::Error when the endpoint is no such, or taken by
/// another process.
std::shared_ptr<Server> serve_at(const std::string& endpoint, const BindKeys& keys);

}  // namespace stages
