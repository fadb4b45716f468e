// subscription: SUB on the loop, a queue, and whoever waits at it.
#include "stages/wire/subscription.h"

#include <torch/types.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "graph/error.h"
#include "stages/wire/loop.h"
#include "stages/wire/message.h"

namespace stages {
namespace {

constexpr std::size_t most_waiting = 4 * largest_message;  // bytes

class Subscriber final : public Subscription, Served {
 public:
  Subscriber(const std::string& endpoint, const std::vector<std::string>& prefixes, const ConnectKeys& keys)
      : loop_(Loop::shared()), socket_(loop_->make_socket(zmq::socket_type::sub)) {
    for (const auto& prefix : prefixes) socket_.set(zmq::sockopt::subscribe, prefix);
    loop_->connect(socket_, endpoint, keys);
    loop_->add(this);
  }
  ~Subscriber() override { loop_->remove(this); }

  std::optional<std::string> next(std::stop_token stop, std::chrono::milliseconds patience) override {
    std::unique_lock lock(mutex_);
    came_.wait_for(lock, stop, patience, [&] { return !waiting_.empty(); });
    if (waiting_.empty()) return std::nullopt;
    auto oldest = waiting_.front();
    drop_oldest();
    return oldest;
  }

 private:
  void drop_oldest() {
    waiting_bytes_ -= waiting_.front().size();
    waiting_.pop_front();
  }

  zmq::socket_t& socket() override { return socket_; }

  void received(std::vector<zmq::message_t> frames) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_bytes_ += frames[0].size();
      waiting_.push_back(frames[0].to_string());
      while (waiting_.size() > queued_messages || waiting_bytes_ > most_waiting) drop_oldest();
    }
    came_.notify_one();
  }

  std::shared_ptr<Loop> loop_;
  zmq::socket_t socket_;
  std::mutex mutex_;
  std::condition_variable_any came_;
  std::deque<std::string> waiting_;
  std::size_t waiting_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Subscription> subscribe_to(const std::string& endpoint,
                                           const std::vector<std::string>& prefixes,
                                           const ConnectKeys& keys) {
  return std::make_unique<Subscriber>(endpoint, prefixes, keys);
}

std::string pipeline_of(const Hello& hello) {
  const auto& bytes = hello.pipeline;
  graph::require(bytes.defined() && bytes.dim() == 1 && bytes.scalar_type() == at::kByte,
                 "a hello without a pipeline");
  const auto plain = bytes.contiguous();
  return {plain.data_ptr<std::uint8_t>(), plain.data_ptr<std::uint8_t>() + plain.numel()};
}

std::optional<Hello> hello_of(const std::string& endpoint, const ConnectKeys& keys,
                              std::chrono::milliseconds patience) {
  const auto subscription = subscribe_to(endpoint, {std::string("hello\0", 6)}, keys);
  const auto bytes = subscription->next({}, patience);
  if (!bytes) return std::nullopt;
  const auto message = decode(*bytes);
  return unpack(message.noun.type, message.noun.fields, message.noun.payload).as<Hello>();
}

}  // namespace stages
