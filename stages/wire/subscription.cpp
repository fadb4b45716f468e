// subscription: SUB on the loop, a queue, and whoever waits at it.
#include "stages/wire/subscription.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "graph/error.h"
#include "stages/wire/loop.h"
#include "stages/wire/message.h"

namespace stages {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_waiting = 4 * largest_message;  // bytes
// Of a connection that broke: until what ZeroMQ had read of it is here.
constexpr auto grace = std::chrono::milliseconds(250);

// Tells what befalls a socket's connections.
class Watch final : public Served {
 public:
  Watch(Loop& loop, zmq::socket_t& watched, std::function<void(int)> tell)
      : loop_(loop), watched_(watched), tell_(std::move(tell)), socket_(loop_.monitor(watched)) {
    loop_.add(this);
  }
  ~Watch() override {
    loop_.remove(this);
    Loop::unmonitor(watched_);
  }

 private:
  zmq::socket_t& socket() override { return socket_; }

  // An event and its value, and the address.
  void received(std::vector<zmq::message_t> frames) override {
    std::uint16_t event = 0;
    if (frames[0].size() < sizeof event) return;
    std::memcpy(&event, frames[0].data(), sizeof event);
    tell_(event);
  }

  Loop& loop_;
  zmq::socket_t& watched_;
  const std::function<void(int)> tell_;
  zmq::socket_t socket_;
};

// ZeroMQ would connect again and say nothing. But who has gone may come back as somebody else, and what was missed
// meanwhile is missing, so the first connection is the only one.
class Subscriber final : public Subscription, Served {
 public:
  Subscriber(const std::string& endpoint, const std::vector<std::string>& prefixes, const ConnectKeys& keys)
      : loop_(Loop::shared()),
        socket_(loop_->make_socket(zmq::socket_type::sub)),
        endpoint_(endpoint),
        watch_(*loop_, socket_, [this](int event) { happened(event); }) {
    for (const auto& prefix : prefixes) socket_.set(zmq::sockopt::subscribe, prefix);
    loop_->connect(socket_, endpoint, keys);
    loop_->add(this);
  }
  ~Subscriber() override { loop_->remove(this); }

  std::optional<std::string> next(std::stop_token stop, std::chrono::milliseconds patience) override {
    std::unique_lock lock(mutex_);
    came_.wait_for(lock, stop, patience, [&] { return !waiting_.empty() || lost_; });
    if (waiting_.empty()) return std::nullopt;
    auto oldest = waiting_.front();
    drop_oldest();
    return oldest;
  }

  std::optional<std::string> lost() const override {
    const std::lock_guard lock(mutex_);
    if (!lost_ || !waiting_.empty()) return std::nullopt;
    return fmt::format(
        "endpoint '{}': the connection broke, and no end had been said; the other process was killed, "
        "hangs, or sent more than {} MiB at once: look there, and begin again when it runs",
        endpoint_, largest_message >> 20);
  }

  const std::string& endpoint() const override { return endpoint_; }

 private:
  void drop_oldest() {
    waiting_bytes_ -= waiting_.front().size();
    waiting_.pop_front();
  }

  zmq::socket_t& socket() override { return socket_; }

  void received(std::vector<zmq::message_t> frames) override {
    {
      const std::lock_guard lock(mutex_);
      if (lost_) return;
      waiting_bytes_ += frames[0].size();
      waiting_.push_back(frames[0].to_string());
      while (waiting_.size() > queued_messages || waiting_bytes_ > most_waiting) drop_oldest();
    }
    came_.notify_one();
  }

  void happened(int event) {
    if (event == ZMQ_EVENT_DISCONNECTED && up_ && !broke_) broke_ = Clock::now();
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED && broke_) lose();
    up_ |= event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
  }

  void tick() override {
    if (broke_ && Clock::now() - *broke_ > grace) lose();
  }

  void lose() {
    {
      const std::lock_guard lock(mutex_);
      lost_ = true;
    }
    came_.notify_all();
  }

  std::shared_ptr<Loop> loop_;
  zmq::socket_t socket_;
  const std::string endpoint_;
  // Of the loop's thread.
  bool up_ = false;
  std::optional<Clock::time_point> broke_;

  mutable std::mutex mutex_;
  std::condition_variable_any came_;
  std::deque<std::string> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool lost_ = false;
  Watch watch_;  // the last member: it ends before what it tells
};

}  // namespace

std::unique_ptr<Subscription> subscribe_to(const std::string& endpoint,
                                           const std::vector<std::string>& prefixes,
                                           const ConnectKeys& keys) {
  return std::make_unique<Subscriber>(endpoint, prefixes, keys);
}

std::unique_ptr<Subscription> subscribe_to_hello(const std::string& endpoint, const ConnectKeys& keys) {
  return subscribe_to(endpoint, {std::string("hello\0", 6)}, keys);
}

std::string pipeline_of(const Hello& hello) {
  const auto& bytes = hello.pipeline;
  graph::require(bytes.defined() && bytes.dim() == 1 && bytes.scalar_type() == at::kByte,
                 "a hello without a pipeline");
  const auto plain = bytes.contiguous();
  return {plain.data_ptr<std::uint8_t>(), plain.data_ptr<std::uint8_t>() + plain.numel()};
}

std::optional<Hello> next_hello(Subscription& subscription, std::chrono::milliseconds patience) {
  const auto bytes = subscription.next({}, patience);
  if (!bytes) return std::nullopt;
  try {
    const auto message = decode(*bytes);
    const auto body = unpack(message.noun.type, message.noun.fields, message.noun.payload);
    const auto* hello = body.get<Hello>();
    graph::require(hello != nullptr, "a message of another type");
    pipeline_of(*hello);
    return *hello;
  } catch (const graph::Error& error) {
    throw std::runtime_error(
        "endpoint '" + subscription.endpoint() +
        "': what answers there is no pipeline that speaks this protocol: " + error.what());
  }
}

std::optional<Hello> hello_of(const std::string& endpoint, const ConnectKeys& keys,
                              std::chrono::milliseconds patience) {
  return next_hello(*subscribe_to_hello(endpoint, keys), patience);
}

}  // namespace stages
