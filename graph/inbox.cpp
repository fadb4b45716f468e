// inbox: policies, joins and credits.
#include "graph/inbox.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace graph {

class Gate::Slot {
 public:
  explicit Slot(Gate& gate) : gate_(gate) {}
  Slot(const Slot&) = delete;
  ~Slot() { gate_.release(); }

 private:
  Gate& gate_;
};

Credit Gate::try_acquire() {
  int free = free_.load(std::memory_order_acquire);
  while (free > 0) {
    if (!free_.compare_exchange_weak(free, free - 1)) continue;
    const int used = slots_ - free + 1;
    int peak = peak_.load(std::memory_order_relaxed);
    while (used > peak && !peak_.compare_exchange_weak(peak, used)) {
    }
    return std::make_shared<Slot>(*this);
  }
  return nullptr;
}

Credit Gate::acquire() {
  for (;;) {
    if (closed_) return nullptr;
    if (auto credit = try_acquire()) return credit;
    std::unique_lock lock(mutex_);
    // Said before looking, and release() looks after freeing: one of the two sees the other.
    waiting_ = true;
    freed_.wait(lock, [&] { return closed_ || free_ >= wake_at(); });
    waiting_ = false;
  }
}

void Gate::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  freed_.notify_all();
}

void Gate::release() {
  if (free_.fetch_add(1) + 1 >= wake_at() && waiting_) {
    // Under the lock, so that acquire() cannot be between its look and its sleep.
    const std::lock_guard lock(mutex_);
    freed_.notify_one();
  }
  if (on_release) on_release();
}

Inbox::Inbox(std::vector<InputPort> ports, std::vector<Edge> edges) : ports_(std::move(ports)) {
  for (const auto& edge : edges) {
    queues_.emplace_back();
    queues_.back().edge = edge;
    paired_ += is_paired(queues_.back());
  }
}

bool Inbox::is_paired(const Queue& queue) const {
  return ports_[queue.edge.port].intake == Intake::joined && queue.edge.when_full == WhenFull::wait &&
         !queue.edge.feedback;
}

bool Inbox::keeps_credit(const Queue& queue) const {
  return is_paired(queue) ||
         (ports_[queue.edge.port].intake == Intake::gathered && queue.edge.when_full == WhenFull::wait);
}

void Inbox::put(std::size_t edge, Message message) {
  // Credits go back after the lock is released: the last one of a message calls into its gate.
  Message dropped;
  Credit returned;
  const std::lock_guard lock(mutex_);
  auto& queue = queues_[edge];
  if (message.kind == Message::Kind::end) {
    queue.ended = true;
    return;
  }
  assert((queue.edge.feedback || message.number >= queue.next) && "messages ascend on every edge");
  queue.next = message.number + 1;
  const bool is_data = message.kind == Message::Kind::data;
  queue.arrived += is_data;
  if (!keeps_credit(queue)) returned = std::move(message.credit);
  if (closed_) {
    queue.late += is_data;
    dropped = std::move(message);
    return;
  }
  const bool drops = queue.edge.when_full != WhenFull::wait;
  if (!is_data && (drops || ports_[queue.edge.port].intake != Intake::joined)) return;
  if (drops) {
    const auto capacity = queue.edge.when_full == WhenFull::latest ? 1 : queue.edge.capacity;
    if (queue.waiting.size() >= capacity) {
      ++queue.dropped;
      if (queue.edge.when_full == WhenFull::drop_newest) {
        dropped = std::move(message);
        return;
      }
      dropped = std::move(queue.waiting.front());
      queue.waiting.pop_front();
    }
  }
  if (ports_[queue.edge.port].intake == Intake::sampled) {
    dropped.body = std::exchange(queue.newest, std::move(message.body));
    return;
  }
  queue.waiting.push_back(std::move(message));
  queue.peak = std::max(queue.peak, queue.waiting.size());
}

Inbox::Found Inbox::find() const {
  if (closed_) return Found::nothing;
  bool complete = true;
  for (const auto& queue : queues_) {
    if (ports_[queue.edge.port].intake != Intake::joined || !queue.waiting.empty()) continue;
    if (queue.ended) return Found::end;
    complete = false;
  }
  return complete ? Found::messages : Found::nothing;
}

// Numbers differ only where one input sent a last message of its own while ending; its partner never comes.
void Inbox::take_unpaired(std::vector<Message>& gone) {
  for (;;) {
    std::uint64_t highest = 0;
    for (const auto& queue : queues_)
      if (is_paired(queue) && !queue.waiting.empty())
        highest = std::max(highest, queue.waiting.front().number);
    bool dropped = false;
    for (auto& queue : queues_) {
      if (!is_paired(queue) || queue.waiting.empty() || queue.waiting.front().number == highest) continue;
      queue.dropped += queue.waiting.front().kind == Message::Kind::data;
      gone.push_back(std::move(queue.waiting.front()));
      queue.waiting.pop_front();
      dropped = true;
    }
    if (!dropped) return;
  }
}

Inbox::Found Inbox::take(Firing& firing) {
  std::vector<Message> gone;  // destroyed after the lock is released, see put()
  const std::lock_guard lock(mutex_);
  auto found = find();
  if (found == Found::messages && paired_ > 1) {
    take_unpaired(gone);
    found = find();
  }
  if (found != Found::messages) return found;
  firing.inputs.resize(ports_.size());
  if (gate_ && !(firing.credit = gate_->try_acquire())) return Found::nothing;
  firing.born_ns = 0;
  for (auto& queue : queues_) {
    auto& input = firing.inputs[queue.edge.port];
    switch (ports_[queue.edge.port].intake) {
      case Intake::sampled:
        if (queue.newest) input.one = queue.newest;
        break;
      case Intake::gathered:
        for (auto& message : queue.waiting) {
          input.many.push_back(std::move(message.body));
          gone.push_back(std::move(message));
        }
        queue.waiting.clear();
        break;
      case Intake::joined: {
        auto message = std::move(queue.waiting.front());
        queue.waiting.pop_front();
        if (queue.edge.feedback) {
          if (message.kind != Message::Kind::tombstone) queue.newest = std::move(message.body);
          input.one = queue.newest;
          break;
        }
        if (message.kind == Message::Kind::tombstone) found = Found::tombstone;
        firing.number = message.number;
        firing.born_ns = firing.born_ns == 0 ? message.born_ns : std::min(firing.born_ns, message.born_ns);
        firing.credit = combine(std::move(firing.credit), std::move(message.credit));
        input.one = std::move(message.body);
        break;
      }
    }
  }
  return found;
}

bool Inbox::ready() const {
  const std::lock_guard lock(mutex_);
  const auto found = find();
  return found == Found::end || (found == Found::messages && (!gate_ || gate_->available()));
}

std::vector<Any> Inbox::close() {
  std::vector<Any> left;
  std::vector<std::deque<Message>> gone;
  std::vector<Any> newest;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (auto& queue : queues_) {
    for (const auto& message : queue.waiting) {
      queue.late += message.kind == Message::Kind::data;
      if (ports_[queue.edge.port].intake == Intake::gathered && message.kind == Message::Kind::data)
        left.push_back(message.body);
    }
    gone.push_back(std::exchange(queue.waiting, {}));
    newest.push_back(std::exchange(queue.newest, {}));
  }
  return left;
}

bool Inbox::is_fed() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(queues_, [](const auto& queue) { return !queue.ended && !queue.edge.feedback; });
}

EdgeCounts Inbox::counts(std::size_t edge) const {
  const std::lock_guard lock(mutex_);
  const auto& queue = queues_[edge];
  return {queue.arrived, queue.dropped, queue.late, queue.waiting.size(), queue.peak};
}

}  // namespace graph
