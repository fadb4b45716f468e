// rows: players and rows, side by side.
#include "stages/play/rows.h"

#include <torch/types.h>

#include <algorithm>

#include "graph/error.h"

namespace stages {

std::vector<std::int64_t> sessions_of(const Frame& frame) {
  const auto S = frame.pixels.size(0);
  graph::require(frame.players.empty() || static_cast<std::int64_t>(frame.players.size()) == S,
                 "a frame has a row for each player");
  std::vector<std::int64_t> sessions;
  for (std::int64_t s = 0; s < S; ++s)
    sessions.push_back(frame.players.empty() ? s : frame.players[static_cast<std::size_t>(s)].session);
  return sessions;
}

std::optional<Frame> of_session(const Frame& frame, std::int64_t session) {
  const auto sessions = sessions_of(frame);
  const auto found = std::ranges::find(sessions, session);
  if (found == sessions.end()) return std::nullopt;
  const auto row = found - sessions.begin();
  const auto player = frame.players.empty() ? Player{session} : frame.players[static_cast<std::size_t>(row)];
  return Frame{frame.pixels.narrow(0, row, 1), frame.action.narrow(0, row, 1), {player}, frame.number};
}

}  // namespace stages
