// loop: an eventfd wakes a poll over all sockets; a doorkeeper answers for keys.
#include "stages/wire/loop.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string_view>

#include "graph/error.h"

namespace stages {
namespace {

constexpr int linger_ms = 200;  // for what was sent when a socket closes
constexpr int heartbeat_ms = 2000, silence_ms = 6000,
              handshake_ms = 5000;  // of a peer that is gone, or is none
constexpr std::size_t most_frames = 9;
constexpr auto turn = std::chrono::milliseconds(2);  // of one socket, before the others
constexpr auto tick_period = std::chrono::milliseconds(250);

using Clock = std::chrono::steady_clock;

}  // namespace

// Tells libzmq which public keys may come, by its protocol ZAP (rfc.zeromq.org/spec/27). A domain is a socket.
class Loop::Doorkeeper final : public Served {
 public:
  explicit Doorkeeper(Loop& loop) : socket_(loop.context_, zmq::socket_type::router) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.bind("inproc://zeromq.zap.01");
  }
  std::string admit(std::set<std::string> keys) {
    const std::lock_guard lock(mutex_);
    const auto domain = std::to_string(domains_.size());
    domains_[domain] = std::move(keys);
    return domain;
  }

 private:
  zmq::socket_t& socket() override { return socket_; }

  // identity, empty, version, request, domain, address, routing id, mechanism, key
  void received(std::vector<zmq::message_t> frames) override {
    if (frames.size() < 9) return;
    std::array<char, 41> key{};
    bool known = false;
    if (frames[7].to_string() == "CURVE" && frames[8].size() == 32) {
      zmq_z85_encode(key.data(), frames[8].data<std::uint8_t>(), 32);
      const std::lock_guard lock(mutex_);
      const auto domain = domains_.find(frames[4].to_string());
      known = domain != domains_.end() && domain->second.contains(key.data());
    }
    const auto more = zmq::send_flags::sndmore | zmq::send_flags::dontwait;
    for (std::size_t i = 0; i < 4; ++i) socket_.send(frames[i], more);
    const std::string_view status = known ? "200" : "400", reason = known ? "OK" : "not allowed",
                           user = key.data();
    for (const auto text : {status, reason, user}) socket_.send(zmq::buffer(text), more);
    socket_.send(zmq::message_t(), zmq::send_flags::dontwait);
  }

  zmq::socket_t socket_;
  std::mutex mutex_;
  std::map<std::string, std::set<std::string>> domains_;
};

std::shared_ptr<Loop> Loop::shared() {
  static std::mutex mutex;
  static std::weak_ptr<Loop> shared;
  const std::lock_guard lock(mutex);
  auto alive = shared.lock();
  if (!alive) shared = alive = std::make_shared<Loop>();
  return alive;
}

Loop::Loop() : bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  // Signals are for threads that expect them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Loop::~Loop() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  ring();
  thread_.join();
  ::close(bell_);
}

void Loop::ring() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(bell_, &one, sizeof one);
}

zmq::socket_t Loop::make_socket(zmq::socket_type type) {
  zmq::socket_t socket(context_, type);
  socket.set(zmq::sockopt::linger, linger_ms);
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(largest_message));
  socket.set(zmq::sockopt::sndhwm, static_cast<int>(queued_messages));
  socket.set(zmq::sockopt::rcvhwm, static_cast<int>(queued_messages));
  socket.set(zmq::sockopt::heartbeat_ivl, heartbeat_ms);
  socket.set(zmq::sockopt::heartbeat_timeout, silence_ms);
  socket.set(zmq::sockopt::handshake_ivl, handshake_ms);
  return socket;
}

std::string Loop::bind(zmq::socket_t& socket, const std::string& endpoint, const BindKeys& keys) {
  const bool has_keys = !keys.key.empty();
  const auto address = to_bind(endpoint, has_keys);
  if (has_keys) {
    auto allowed = allowed_clients(keys);
    if (!doorkeeper_) {
      doorkeeper_ = std::make_unique<Doorkeeper>(*this);
      add(doorkeeper_.get());
    }
    socket.set(zmq::sockopt::zap_domain, doorkeeper_->admit(std::move(allowed)));
    use_keys(socket, keys);
  } else if (!keys.clients.empty()) {
    throw graph::Error("'clients' needs 'key', the server's own secret key");
  }
  // An ipc socket is its owner's alone before make_private(), too.
  const auto before = ::umask(S_IRWXG | S_IRWXO);
  const int failed = zmq_bind(socket.handle(), address.c_str());
  ::umask(before);
  if (failed) throw graph::Error("endpoint '" + endpoint + "': " + zmq_strerror(zmq_errno()));
  make_private(address);
  return socket.get(zmq::sockopt::last_endpoint);
}

void Loop::connect(zmq::socket_t& socket, const std::string& endpoint, const ConnectKeys& keys) {
  const auto address = to_connect(endpoint);
  use_keys(socket, keys);
  try {
    socket.connect(address);
  } catch (const zmq::error_t& error) {
    throw graph::Error("endpoint '" + endpoint + "': " + error.what());
  }
}

zmq::socket_t Loop::monitor(zmq::socket_t& socket) {
  const auto address = "inproc://monitor-" + std::to_string(monitors_++);
  if (zmq_socket_monitor(socket.handle(), address.c_str(),
                         ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) != 0)
    throw zmq::error_t();
  zmq::socket_t told(context_, zmq::socket_type::pair);
  told.set(zmq::sockopt::linger, 0);
  told.connect(address);
  return told;
}

void Loop::unmonitor(zmq::socket_t& socket) { zmq_socket_monitor(socket.handle(), nullptr, 0); }

void Loop::add(Served* served) {
  const std::lock_guard lock(mutex_);
  served_.push_back(served);
  ring();
}

void Loop::remove(Served* served) {
  std::unique_lock lock(mutex_);
  std::erase(served_, served);
  const auto seen = rounds_;
  ring();
  changed_.wait(lock, [&] { return rounds_ != seen; });
}

void Loop::run() {
  std::vector<Served*> served;
  auto ticked = Clock::now();
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (over_) return;
      served = served_;
      ++rounds_;
    }
    changed_.notify_all();
    const bool ticks = Clock::now() - ticked >= tick_period;
    if (ticks) ticked = Clock::now();
    std::vector<zmq::pollitem_t> items{{nullptr, bell_, ZMQ_POLLIN, 0}};
    for (auto* each : served) {
      serve(*each, ticks);
      items.push_back({each->socket().handle(), 0, ZMQ_POLLIN, 0});
    }
    try {
      zmq::poll(items, tick_period);
    } catch (const zmq::error_t&) {
      continue;  // interrupted
    }
    if (items[0].revents) {
      std::uint64_t rings = 0;
      [[maybe_unused]] const auto got = ::read(bell_, &rings, sizeof rings);
    }
  }
}

void Loop::serve(Served& served, bool ticks) {
  try {
    if (ticks) served.tick();
    // A time of its own, so that one who floods us keeps nobody else waiting.
    for (const auto begin = Clock::now(); Clock::now() - begin < turn;) {
      std::vector<zmq::message_t> frames;
      for (bool more = true; more;) {
        zmq::message_t frame;
        if (!served.socket().recv(frame, zmq::recv_flags::dontwait)) break;
        more = frame.more();
        if (frames.size() < most_frames) frames.push_back(std::move(frame));
      }
      if (frames.empty()) break;
      served.received(std::move(frames));
    }
    served.flush();
  } catch (const std::exception& error) {
    spdlog::warn("a message could not be handled: {}", error.what());
  }
}

}  // namespace stages
