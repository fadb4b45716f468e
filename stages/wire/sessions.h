// sessions: who plays from outside, and what they have asked for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "stages/types.h"
#include "stages/wire/server.h"

namespace stages {

struct SessionLimits {
  std::int64_t max_players = 16;
  std::int64_t actions = 3;  // the largest that there is
  double timeout = 30;       // seconds without a command until a player leaves
  bool local = true;         // session 0 is there, and obeys everybody
};

/// A session obeys the connection that joined it. Methods throw graph::Error to refuse. Any thread.
class Sessions {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Sessions(const SessionLimits& limits) : limits_(limits) {}

  std::int64_t join(const Server::Peer& peer, std::optional<std::int64_t> game);
  void act(const Server::Peer& peer, std::int64_t session, std::int64_t action, std::int64_t id);
  void reset(const Server::Peer& peer, std::int64_t session, std::optional<std::int64_t> game);
  void leave(const Server::Peer& peer, std::int64_t session);
  /// A sign of life.
  void heard(const Server::Peer& peer);
  /// All of its sessions leave.
  void gone(const Server::Peer& peer);

  struct Member {
    std::int64_t session;
    Server::Peer peer;
  };
  std::vector<Member> members() const;
  /// Lets those go who were silent for too long, and says who they were.
  std::vector<Member> expire();
  std::size_t waiting() const;

  /// Waits for the next thing that somebody wants; nothing when `stop` was asked for.
  std::optional<Action> next(std::stop_token stop);

 private:
  struct Session {
    Server::Peer peer;
    Clock::time_point heard;
  };

  void check(const Server::Peer& peer, std::int64_t session);
  void push(const Action& action);

  const SessionLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable_any came_;
  std::map<std::int64_t, Session> sessions_;
  std::int64_t last_ = 0;  // session ever given
  std::deque<Action> waiting_;
};

}  // namespace stages
