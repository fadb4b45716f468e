// loop: the one thread on which all ZeroMQ sockets of this process live.
//
// It comes with the first socket and goes with the last. Stages never touch a socket: they hand over whole messages
// and go on.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "stages/wire/endpoint.h"

namespace stages {

// What keeps a hostile or broken peer small.
constexpr std::size_t largest_message = std::size_t{64} << 20;  // bytes
constexpr std::size_t queued_messages = 256;                    // in each of the queues on the way

/// A socket that the loop serves. The hooks run on the loop's thread; what they throw is logged, and no more.
class Served {
 public:
  virtual ~Served() = default;
  virtual zmq::socket_t& socket() = 0;
  /// A whole message of one or more frames; of more than nine, the first nine.
  virtual void received(std::vector<zmq::message_t> frames) = 0;
  /// Sends what waits.
  virtual void flush() {}
  /// About four times a second.
  virtual void tick() {}
};

class Loop {
 public:
  /// The process's own, which lives as long as somebody holds it.
  static std::shared_ptr<Loop> shared();
  Loop();
  ~Loop();

  /// A socket with the limits that all have. To be bound or connected, and then given to add().
  zmq::socket_t make_socket(zmq::socket_type type);
  /// Binds, with keys where there are some; gives the endpoint with the port that port 0 became. Throws graph::Error.
  std::string bind(zmq::socket_t& socket, const std::string& endpoint, const BindKeys& keys);
  /// Connects, and goes on trying when nobody is there. Throws graph::Error.
  void connect(zmq::socket_t& socket, const std::string& endpoint, const ConnectKeys& keys);
  /// A socket that is told, in the form of zmq_socket_monitor(), when a connection of `socket` is up and when it
  /// breaks. To be made before `socket` connects; unmonitor() must come before either of them goes.
  zmq::socket_t monitor(zmq::socket_t& socket);
  static void unmonitor(zmq::socket_t& socket);

  void add(Served* served);
  /// When this returns, the thread has let go of it. Not for the loop's own thread.
  void remove(Served* served);
  /// Has all sockets flushed soon. Any thread.
  void ring() const;

 private:
  class Doorkeeper;

  void run();
  void serve(Served& served, bool ticks);

  zmq::context_t context_{1};
  const int bell_;
  bool over_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Served*> served_;
  std::uint64_t rounds_ = 0;
  std::atomic<std::uint64_t> monitors_{0};
  std::unique_ptr<Doorkeeper> doorkeeper_;
  std::thread thread_;
};

}  // namespace stages
