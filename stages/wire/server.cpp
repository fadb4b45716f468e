// server: ROUTER, envelopes, and one answer for each command.
#include "stages/wire/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <span>

#include "graph/error.h"
#include "stages/wire/loop.h"
#include "stages/wire/message.h"

namespace stages {
namespace {

constexpr std::int64_t version = 1;
constexpr std::size_t longest_error = 500;

// A flat map; what nests a little is read, so that it can be refused by its id.
const msgpack::unpack_limit limits(/*array*/ 16, /*map*/ 16, /*str*/ largest_command, /*bin*/ largest_message,
                                   /*ext*/ 0, /*depth*/ 2);

bool is_text(const msgpack::object& object) { return object.type == msgpack::type::STR; }
std::string_view text_of(const msgpack::object& object) { return {object.via.str.ptr, object.via.str.size}; }

std::string shown(std::string_view text) { return "'" + std::string(text.substr(0, 40)) + "'"; }

std::string packed(std::optional<std::int64_t> id, const char* key,
                   const std::function<void(Answer&)>& value) {
  Answer answer;
  msgpack::packer<Answer> pack(answer);
  pack.pack_map(3);
  pack.pack("version").pack(version).pack("id");
  id ? pack.pack(*id) : pack.pack_nil();
  pack.pack(key);
  value(answer);
  return {answer.data(), answer.size()};
}

}  // namespace

// --- arguments -------------------------------------------------------------------------------------------------

Arguments::Arguments(const msgpack::object& map) : map_(map) {
  if (map.type != msgpack::type::MAP) throw graph::Error("a command is a map");
  std::set<std::string_view> keys;
  for (const auto& entry : std::span(map.via.map.ptr, map.via.map.size))
    if (!is_text(entry.key) || !keys.insert(text_of(entry.key)).second)
      throw graph::Error("the keys of a command are texts, each there once");
}

const msgpack::object* Arguments::find(const std::string& name) {
  asked_.insert(name);
  for (const auto& entry : std::span(map_.via.map.ptr, map_.via.map.size))
    if (text_of(entry.key) == name) return &entry.val;
  return nullptr;
}

std::optional<std::int64_t> Arguments::integer_if_any(const std::string& name) {
  const auto* value = find(name);
  if (!value) return std::nullopt;
  if (value->type != msgpack::type::POSITIVE_INTEGER ||
      value->via.u64 > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    throw graph::Error("'" + name + "': expected a natural number below 2^63");
  return static_cast<std::int64_t>(value->via.u64);
}

std::int64_t Arguments::integer(const std::string& name) {
  const auto value = integer_if_any(name);
  if (!value) throw graph::Error("'" + name + "' is missing");
  return *value;
}

std::string Arguments::text(const std::string& name) {
  const auto* value = find(name);
  if (!value) throw graph::Error("'" + name + "' is missing");
  if (!is_text(*value)) throw graph::Error("'" + name + "': expected a text");
  return std::string(text_of(*value));
}

std::string_view Arguments::bytes(const std::string& name) {
  const auto* value = find(name);
  if (!value) throw graph::Error("'" + name + "' is missing");
  if (value->type != msgpack::type::BIN) throw graph::Error("'" + name + "': expected bytes");
  return {value->via.bin.ptr, value->via.bin.size};
}

std::string Arguments::scalar(const std::string& name) {
  const auto* value = find(name);
  if (!value) throw graph::Error("'" + name + "' is missing");
  switch (value->type) {
    case msgpack::type::STR:
      return std::string(text_of(*value));
    case msgpack::type::POSITIVE_INTEGER:
      return std::to_string(value->via.u64);
    case msgpack::type::NEGATIVE_INTEGER:
      return std::to_string(value->via.i64);
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      return fmt::format("{}", value->via.f64);
    default:
      throw graph::Error("'" + name + "': expected a number or a text");
  }
}

void Arguments::end() const {
  for (const auto& entry : std::span(map_.via.map.ptr, map_.via.map.size))
    if (!asked_.contains(std::string(text_of(entry.key))))
      throw graph::Error("a key that this command does not know: " + shown(text_of(entry.key)));
}

// --- the socket ------------------------------------------------------------------------------------------------

namespace {

class Router final : public Server, Served {
 public:
  Router(const std::string& endpoint, const BindKeys& keys, std::size_t most)
      : largest(most), loop_(Loop::shared()), socket_(loop_->make_socket(zmq::socket_type::router)) {
    socket_.set(zmq::sockopt::router_mandatory, true);  // else nobody learns that a peer is gone
    // ZeroMQ learns late what was fetched, so this is some hundred answers.
    socket_.set(zmq::sockopt::sndhwm, 1024);
    // Somewhat more, so that who says too much is told.
    socket_.set(zmq::sockopt::maxmsgsize,
                static_cast<std::int64_t>(std::min(8 * largest, largest_message + largest_command)));
    endpoint_ = loop_->bind(socket_, endpoint, keys);
    loop_->add(this);
  }
  ~Router() override {
    loop_->remove(this);
    flush();
  }

  Claim handle(const std::string& command, Handler handler) override {
    const std::lock_guard lock(handlers_mutex_);
    if (!handlers_.emplace(command, std::move(handler)).second)
      throw graph::Error("endpoint '" + endpoint_ + "': another stage answers '" + command + "' there");
    return claim([this, command] { handlers_.erase(command); });
  }

  Claim attend(Attendant attendant) override {
    const std::lock_guard lock(handlers_mutex_);
    if (attendant_) throw graph::Error("endpoint '" + endpoint_ + "': another stage attends to it");
    attendant_ = std::move(attendant);
    return claim([this] { attendant_.reset(); });
  }

  void tell(const Peer& peer, const std::string& event, std::optional<std::int64_t> session) override {
    if (peer.asks) return;
    Answer bytes;
    msgpack::packer<Answer> pack(bytes);
    pack.pack_map(session ? 3 : 2);
    pack.pack("version").pack(version).pack("event").pack(event);
    if (session) pack.pack("session").pack(*session);
    {
      const std::lock_guard lock(mutex_);
      events_.emplace_back(peer, std::string(bytes.data(), bytes.size()));
    }
    loop_->ring();
  }

  std::string endpoint() const override { return endpoint_; }

  const std::size_t largest;

 private:
  zmq::socket_t& socket() override { return socket_; }

  Claim claim(std::function<void()> release) {
    return {this, [this, release = std::move(release)](const void*) {
              const std::lock_guard lock(handlers_mutex_);
              release();
            }};
  }

  void tick() override {
    const std::lock_guard lock(handlers_mutex_);
    if (attendant_) attendant_->tick();
  }

  void received(std::vector<zmq::message_t> frames) override {
    // REQ sends an empty frame first.
    const Peer peer{frames[0].to_string(), frames.size() > 1 && frames[1].size() == 0};
    const auto body = peer.asks ? 2u : 1u;
    {
      const std::lock_guard lock(handlers_mutex_);
      if (attendant_) attendant_->heard(peer);
    }
    std::string answer;
    if (frames.size() != body + 1) {
      answer = packed({}, "error", [](Answer& text) {
        msgpack::pack(text, "a command is one frame, with REQ behind an empty one");
      });
    } else {
      answer = answer_to(peer, frames[body].to_string_view());
    }
    send(peer, answer);
  }

  std::string answer_to(const Peer& peer, std::string_view bytes) {
    std::optional<std::int64_t> id;
    try {
      if (bytes.size() > largest)
        throw graph::Error(fmt::format("a command has {} bytes at most here", largest));
      msgpack::object_handle parsed;
      std::size_t read = 0;
      try {
        parsed = msgpack::unpack(bytes.data(), bytes.size(), read, in_place, nullptr, limits);
      } catch (const msgpack::unpack_error&) {
        throw graph::Error("no msgpack, or something nested or longer than a command may hold");
      }
      if (read != bytes.size()) throw graph::Error("bytes too many behind the command");
      Arguments arguments(parsed.get());
      id = arguments.integer("id");
      if (arguments.integer("version") != version)
        throw graph::Error("another version of the protocol; this program speaks version 1");
      auto command = arguments.text("do");
      if (command == "put")
        command += " " + std::string(topic_of(arguments.bytes("message")));
      else if (bytes.size() > largest_command)
        throw graph::Error(fmt::format("a command has {} bytes at most", largest_command));
      const std::lock_guard lock(handlers_mutex_);
      const auto handler = handlers_.find(command);
      if (handler == handlers_.end()) throw graph::Error("nothing here answers " + shown(command));
      const auto ok = handler->second(peer, *id, arguments);
      return packed(id, "ok", [&](Answer& answer) { answer.write(ok.data(), ok.size()); });
    } catch (const graph::Error& error) {
      // It may repeat what the command says.
      const auto text = plain(std::string(error.what()).substr(0, longest_error));
      return packed(id, "error", [&](Answer& answer) { msgpack::pack(answer, text); });
    } catch (const std::exception&) {  // memory, above all
      return packed(id, "error", [](Answer& answer) { msgpack::pack(answer, "this cannot be done here"); });
    }
  }

  // Bytes are looked at where they lie.
  static bool in_place(msgpack::type::object_type, std::size_t, void*) { return true; }

  void flush() override {
    std::deque<std::pair<Peer, std::string>> out;
    {
      const std::lock_guard lock(mutex_);
      out.swap(events_);
    }
    for (const auto& [peer, event] : out) send(peer, event);
  }

  void send(const Peer& peer, const std::string& bytes) {
    try {
      // A peer that does not fetch its answers gets no more of them.
      if (!socket_.send(zmq::buffer(peer.id), zmq::send_flags::sndmore | zmq::send_flags::dontwait)) return;
      if (peer.asks) socket_.send(zmq::message_t(), zmq::send_flags::sndmore | zmq::send_flags::dontwait);
      socket_.send(zmq::buffer(bytes), zmq::send_flags::dontwait);
    } catch (const zmq::error_t&) {
      const std::lock_guard lock(handlers_mutex_);
      if (attendant_) attendant_->gone(peer);
    }
  }

  std::shared_ptr<Loop> loop_;
  zmq::socket_t socket_;
  std::string endpoint_;
  std::mutex handlers_mutex_;  // held while one of them runs
  std::map<std::string, Handler> handlers_;
  std::optional<Attendant> attendant_;
  std::mutex mutex_;
  std::deque<std::pair<Peer, std::string>> events_;
};

}  // namespace

std::shared_ptr<Server> serve_at(const std::string& endpoint, const BindKeys& keys, std::size_t largest) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<Router>> all;
  const std::lock_guard lock(mutex);
  if (auto there = all[endpoint].lock()) {
    if (there->largest != largest)
      throw graph::Error("endpoint '" + endpoint + "': inject and control want endpoints of their own");
    return there;
  }
  auto made = std::make_shared<Router>(endpoint, keys, largest);
  all[endpoint] = made;
  return made;
}

}  // namespace stages
