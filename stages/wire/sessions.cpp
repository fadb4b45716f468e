// sessions: a table and a queue.
#include "stages/wire/sessions.h"

#include <fmt/format.h>

#include <algorithm>

#include "graph/error.h"
#include "stages/wire/message.h"

namespace stages {
namespace {

constexpr std::ptrdiff_t most_waiting = 64;  // of one player, and of those who have left

}  // namespace

std::int64_t Sessions::join(const Server::Peer& peer, std::optional<std::int64_t> game) {
  const std::lock_guard lock(mutex_);
  if (static_cast<std::int64_t>(sessions_.size()) >= limits_.max_players)
    throw graph::Error(
        fmt::format("full: {} players are in, which is all that max_players allows", sessions_.size()));
  // The bound of each player does not hold those who come and go.
  if (std::ranges::count(waiting_, Action::Kind::leave, &Action::kind) >= most_waiting)
    throw graph::Error(
        fmt::format("too fast: {} players who have left wait for the next tick already", most_waiting));
  sessions_[++last_] = {peer, Clock::now()};
  push({.kind = Action::Kind::restart, .session = last_, .game = game.value_or(-1)});
  return last_;
}

void Sessions::act(const Server::Peer& peer, std::int64_t session, std::int64_t action, std::int64_t id) {
  const std::lock_guard lock(mutex_);
  check(peer, session);
  if (action < 1 || action > limits_.actions)
    throw graph::Error(fmt::format("action {}: expected 1 to {}", action, limits_.actions));
  push({.action = action, .session = session, .act = id, .arrived_ns = static_cast<std::int64_t>(unix_ns())});
}

void Sessions::reset(const Server::Peer& peer, std::int64_t session, std::optional<std::int64_t> game) {
  const std::lock_guard lock(mutex_);
  check(peer, session);
  push({.kind = Action::Kind::restart, .session = session, .game = game.value_or(-1)});
}

void Sessions::leave(const Server::Peer& peer, std::int64_t session) {
  const std::lock_guard lock(mutex_);
  check(peer, session);
  if (session == 0) throw graph::Error("session 0 is the person at the machine, who stays");
  sessions_.erase(session);
  push({.kind = Action::Kind::leave, .session = session});
}

void Sessions::heard(const Server::Peer& peer) {
  const std::lock_guard lock(mutex_);
  for (auto& [number, session] : sessions_)
    if (session.peer == peer) session.heard = Clock::now();
}

void Sessions::gone(const Server::Peer& peer) {
  const std::lock_guard lock(mutex_);
  std::erase_if(sessions_, [&](const auto& each) {
    if (each.second.peer != peer) return false;
    push({.kind = Action::Kind::leave, .session = each.first});
    return true;
  });
}

std::vector<Sessions::Member> Sessions::members() const {
  const std::lock_guard lock(mutex_);
  std::vector<Member> all;
  for (const auto& [number, session] : sessions_) all.push_back({number, session.peer});
  return all;
}

std::vector<Sessions::Member> Sessions::expire() {
  const std::lock_guard lock(mutex_);
  std::vector<Member> expired;
  std::erase_if(sessions_, [&](const auto& each) {
    if (std::chrono::duration<double>(Clock::now() - each.second.heard).count() < limits_.timeout)
      return false;
    expired.push_back({each.first, each.second.peer});
    push({.kind = Action::Kind::leave, .session = each.first});
    return true;
  });
  return expired;
}

std::size_t Sessions::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

std::optional<Action> Sessions::next(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  if (!came_.wait(lock, stop, [&] { return !waiting_.empty(); })) return std::nullopt;
  const auto oldest = waiting_.front();
  waiting_.pop_front();
  return oldest;
}

void Sessions::check(const Server::Peer& peer, std::int64_t session) {
  if (session != 0 || !limits_.local) {
    const auto found = sessions_.find(session);
    if (found == sessions_.end() || found->second.peer != peer)
      throw graph::Error(fmt::format("session {} is not this connection's; `join` first", session));
  }
  if (std::ranges::count(waiting_, session, &Action::session) >= most_waiting)
    throw graph::Error(fmt::format("too fast: {} commands wait for the next tick already", most_waiting));
}

// What somebody who leaves has still asked for is void.
void Sessions::push(const Action& action) {
  if (action.kind == Action::Kind::leave)
    std::erase_if(waiting_, [&](const Action& each) { return each.session == action.session; });
  waiting_.push_back(action);
  came_.notify_one();
}

}  // namespace stages
