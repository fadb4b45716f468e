// rows: which row of a frame is whose.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "stages/types.h"

namespace stages {

/// The session of each row. Throws graph::Error when there are not as many players as rows.
std::vector<std::int64_t> sessions_of(const Frame& frame);

/// A frame of this player's row alone; nothing when they are not in it.
std::optional<Frame> of_session(const Frame& frame, std::int64_t session);

}  // namespace stages
