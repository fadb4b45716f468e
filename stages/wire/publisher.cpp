// publisher: XPUB, so that it knows who listens, and to what.
#include "stages/wire/publisher.h"

#include <torch/types.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "graph/error.h"
#include "stages/wire/loop.h"
#include "stages/wire/message.h"

namespace stages {
namespace {

constexpr std::string_view hello_topic("hello\0", 6);
constexpr std::size_t longest_prefix = 256, most_prefixes = 4096;
constexpr std::size_t most_waiting = largest_message;  // bytes

class XPublisher final : public Publisher, Served {
 public:
  XPublisher(const std::string& endpoint, const BindKeys& keys)
      : loop_(Loop::shared()), socket_(loop_->make_socket(zmq::socket_type::xpub)) {
    socket_.set(zmq::sockopt::xpub_verbose, true);                        // each newcomer is told hello
    socket_.set(zmq::sockopt::maxmsgsize, std::int64_t{longest_prefix});  // of what a reader says
    endpoint_ = loop_->bind(socket_, endpoint, keys);
    loop_->add(this);
  }
  ~XPublisher() override {
    loop_->remove(this);
    tick();
    flush();
  }

  // ZeroMQ filters by prefix, so a reader's prefix may be shorter than the topic, or go on into what follows it.
  bool is_heard(std::string_view topic) const override {
    const std::lock_guard lock(mutex_);
    if (forgot_) return true;
    return std::ranges::any_of(wanted_, [&](const std::string& prefix) {
      const auto shared = std::min(prefix.size(), topic.size());
      return topic.substr(0, shared) == std::string_view(prefix).substr(0, shared) &&
             (prefix.size() <= topic.size() || prefix[topic.size()] == '\0');
    });
  }

  void send(std::string message) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_bytes_ += message.size();
      waiting_.push_back(std::move(message));
      for (; waiting_bytes_ > most_waiting; waiting_.pop_front()) waiting_bytes_ -= waiting_.front().size();
    }
    loop_->ring();
  }

  void announce(const Tap& tap, std::function<std::string()> pipeline) override {
    const std::lock_guard lock(mutex_);
    hello_.taps.push_back(tap);
    pipeline_ = std::move(pipeline);
  }

  std::string endpoint() const override { return endpoint_; }

 private:
  zmq::socket_t& socket() override { return socket_; }

  // 1 and the prefix when somebody begins to want it, 0 and the prefix when the last one does not any more. But what a
  // reader cancels that it never asked for is passed on as well, even where others still want it. So only a 0 that comes
  // of a connection's end counts: it has no sender.
  void received(std::vector<zmq::message_t> frames) override {
    const auto text = frames[0].to_string_view();
    if (text.empty() || text.size() > longest_prefix) return;
    const std::string prefix(text.substr(1));
    const std::lock_guard lock(mutex_);
    if (text[0] == 1) {
      if (wanted_.size() < most_prefixes) wanted_.insert(prefix);
      forgot_ |= !wanted_.contains(prefix);
      hello_due_ |= wants_hello(prefix);
    }
    if (text[0] == 0 && !zmq_msg_gets(frames[0].handle(), "Peer-Address")) wanted_.erase(prefix);
  }

  static bool wants_hello(std::string_view prefix) {
    return !prefix.empty() && hello_topic.starts_with(prefix);
  }

  void tick() override {
    const std::lock_guard lock(mutex_);
    if (forgot_ || std::ranges::any_of(wanted_, wants_hello)) hello_due_ |= pipeline_now() != told_;
  }

  void flush() override {
    std::deque<std::string> out;
    {
      const std::lock_guard lock(mutex_);
      out.swap(waiting_);
      waiting_bytes_ = 0;
      if (std::exchange(hello_due_, false)) out.push_back(hello());
    }
    for (const auto& each : out) socket_.send(zmq::buffer(each), zmq::send_flags::dontwait);
  }

  // Stages that never started may be cleared away before this.
  std::string pipeline_now() const {
    try {
      return pipeline_ ? pipeline_() : "";
    } catch (const graph::Error&) {
      return told_;
    }
  }

  std::string hello() {
    told_ = pipeline_now();
    hello_.pipeline = torch::empty({static_cast<std::int64_t>(told_.size())}, torch::kByte);
    std::ranges::copy(told_, hello_.pipeline.data_ptr<std::uint8_t>());
    WireMessage message{.topic = "hello", .run_id = run_id(), .seq = hellos_++, .t_ns = unix_ns()};
    message.noun = pack(graph::Any::of(hello_));
    return encode(message);
  }

  std::shared_ptr<Loop> loop_;
  zmq::socket_t socket_;
  std::string endpoint_;
  mutable std::mutex mutex_;
  std::deque<std::string> waiting_;
  std::set<std::string> wanted_;  // prefixes of messages
  bool forgot_ = false;           // some that did not fit into it
  std::size_t waiting_bytes_ = 0;
  Hello hello_;
  std::function<std::string()> pipeline_;
  std::string told_;  // the pipeline of the last hello
  bool hello_due_ = false;
  std::uint64_t hellos_ = 0;
};

}  // namespace

std::shared_ptr<Publisher> publish_at(const std::string& endpoint, const BindKeys& keys) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<Publisher>> all;
  const std::lock_guard lock(mutex);
  if (auto there = all[endpoint].lock()) return there;
  auto made = std::make_shared<XPublisher>(endpoint, keys);
  all[endpoint] = made;
  return made;
}

}  // namespace stages
