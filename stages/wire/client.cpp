// client: a socket of its own, and answers matched by id.
#include "stages/wire/client.h"

#include <cerrno>
#include <msgpack.hpp>
#include <stdexcept>
#include <zmq.hpp>

#include "graph/error.h"
#include "stages/wire/message.h"

namespace stages {

using Json = nlohmann::json;

namespace {

const msgpack::unpack_limit limits(/*array*/ 4096, /*map*/ 4096, /*str*/ 1 << 16, /*bin*/ 0, /*ext*/ 0,
                                   /*depth*/ 8);

}  // namespace

struct Client::Socket {
  zmq::context_t context{1};
  zmq::socket_t socket{context, zmq::socket_type::dealer};
};

Client::Client(const std::string& endpoint, const ConnectKeys& keys)
    : endpoint_(endpoint), socket_(std::make_unique<Socket>()) {
  auto& socket = socket_->socket;
  socket.set(zmq::sockopt::linger, 200);
  socket.set(zmq::sockopt::maxmsgsize, std::int64_t{1} << 20);
  use_keys(socket, keys);
  try {
    socket.connect(to_connect(endpoint));
  } catch (const zmq::error_t& error) {
    throw graph::Error("endpoint '" + endpoint + "': " + error.what());
  }
}

Client::~Client() = default;

Json Client::ask(Json command, std::chrono::milliseconds patience) {
  const auto id = ++last_id_;
  command["version"] = 1;
  command["id"] = id;
  const auto bytes = Json::to_msgpack(command);
  auto& socket = socket_->socket;
  socket.send(zmq::buffer(bytes), zmq::send_flags::dontwait);
  const auto no_answer = [&] {
    return std::runtime_error("endpoint '" + endpoint_ +
                              "': an answer that is none; expected a pipeline's `control`");
  };
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (auto left = patience; left.count() > 0; left = std::chrono::duration_cast<std::chrono::milliseconds>(
                                                   deadline - std::chrono::steady_clock::now())) {
    socket.set(zmq::sockopt::rcvtimeo, static_cast<int>(left.count()));
    zmq::message_t message;
    try {
      if (!socket.recv(message)) break;
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) throw;
      continue;  // a signal, which is for others to act on
    }
    const auto* data = message.data<std::uint8_t>();
    try {
      // That reader goes as deep as the bytes do; this one says how deep that may be.
      msgpack::unpack(message.data<char>(), message.size(), nullptr, nullptr, limits);
    } catch (const msgpack::unpack_error&) {
      throw no_answer();
    }
    const auto answer = Json::from_msgpack(data, data + message.size(), true, false);
    if (!answer.is_object() || answer.value("id", Json()) != id) continue;  // an event, or an answer too late
    if (answer.contains("ok") && answer["ok"].is_object()) return answer["ok"];
    const auto error = answer.value("error", Json());
    if (!error.is_string()) throw no_answer();
    throw std::runtime_error(plain(error.get<std::string>()));
  }
  throw std::runtime_error(
      "endpoint '" + endpoint_ +
      "': no answer; expected a pipeline that runs, with a stage `control` there (and keys, where it "
      "asks for them)");
}

}  // namespace stages
