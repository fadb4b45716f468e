// inbox: the mailboxes in front of one stage, and the rule that says when the stage may fire.
//
// Every edge into a stage has a queue here, with the edge's policy and counters. Knows nothing of oneTBB.
// Thread-safe; put() never blocks for longer than a few instructions.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "graph/edge.h"
#include "graph/message.h"
#include "graph/stage_type.h"

namespace graph {

/// A mutex for critical sections of a few instructions: it looks some times before it goes to sleep, since
/// sleeping and waking cost a hundred times what there is to wait for.
class ShortMutex {
 public:
  void lock() {
    for (int look = 0; look < 100; ++look)
      if (mutex_.try_lock()) return;
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

/// Bounds how many messages of one origin are alive at once. A credit taken here comes back by itself when
/// the last message that descends from it is gone. Outlives its credits' holders.
class Gate {
 public:
  explicit Gate(int slots) : free_(slots), slots_(slots) {}
  Gate(const Gate&) = delete;

  /// A credit, or null when all are out.
  Credit try_acquire();
  /// Waits for a credit; null when the gate was closed meanwhile. One caller at a time. Of many slots it waits
  /// for a quarter to come back, so that its thread does not sleep and wake for every single one.
  Credit acquire();
  /// Lets acquire() give up, now and for ever.
  void close();
  /// Called on the releasing thread after each return of a credit.
  std::function<void()> on_release;

  bool available() const { return free_.load() > 0; }
  int peak() const { return peak_.load(std::memory_order_relaxed); }

 private:
  class Slot;
  void release();
  int wake_at() const { return std::max(1, slots_ / 4); }

  std::atomic<int> free_;
  std::atomic<int> peak_{0};
  const int slots_;
  std::atomic<bool> closed_{false};
  std::atomic<bool> waiting_{false};
  std::mutex mutex_;
  std::condition_variable freed_;
};

class Inbox {
 public:
  /// One edge into the stage; `port` is the index of the input it feeds.
  struct Edge {
    std::size_t port = 0;
    WhenFull when_full = WhenFull::wait;
    std::size_t capacity = 0;  // of drop_oldest and drop_newest
    bool feedback = false;     // pairs by order
  };

  /// What take() found.
  enum class Found {
    nothing,    // wait for more
    messages,   // fire
    tombstone,  // this number was filtered upstream: say so downstream
    end,        // a joined input has nothing more to give; the stage is over
  };
  struct Firing {
    Credit credit;  // the first member, so that it outlives the inputs it stands for
    std::vector<Input> inputs;
    std::uint64_t number = 0;
    std::int64_t born_ns = 0;
  };

  Inbox(std::vector<InputPort> ports, std::vector<Edge> edges);

  /// The gate of a stage behind a dropping edge: take() finds nothing while it has no credit. May be null.
  void set_gate(Gate* gate) { gate_ = gate; }

  /// Takes one message in by the edge's policy.
  void put(std::size_t edge, Message message);
  /// Fills `firing` with the next set of messages, if there is one.
  Found take(Firing& firing);
  /// Whether take() would find something.
  bool ready() const;
  /// Drops what waits and everything that still comes; gives the credits back, and returns what gathered inputs held.
  std::vector<Any> close();
  /// Whether some edge but feedback has not ended, so that its sender still works for this stage.
  bool is_fed() const;

  EdgeCounts counts(std::size_t edge) const;

 private:
  struct Queue {
    Edge edge;
    std::deque<Message> waiting;
    Any newest;  // of a sampled input; of feedback: what a tombstone stands for
    bool ended = false;
    std::uint64_t arrived = 0, dropped = 0, late = 0, next = 0;
    std::size_t peak = 0;
  };

  bool is_paired(const Queue& queue) const;
  bool keeps_credit(const Queue& queue) const;
  Found find() const;
  void take_unpaired(std::vector<Message>& gone);

  const std::vector<InputPort> ports_;
  Gate* gate_ = nullptr;
  mutable ShortMutex mutex_;
  std::vector<Queue> queues_;
  int paired_ = 0;  // queues whose messages pair by number
  bool closed_ = false;
};

}  // namespace graph
