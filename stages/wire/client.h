// client: the end of commands that connects.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "stages/wire/endpoint.h"

namespace stages {

/// A connected DEALER socket. One thread.
class Client {
 public:
  /// Throws graph::Error.
  Client(const std::string& endpoint, const ConnectKeys& keys);
  ~Client();

  /// Sends `command`, a map with `do` and what belongs to it, and waits for its answer; gives what stands behind `ok`.
  /// Throws std::runtime_error with the answer's error, or when none came in time.
  nlohmann::json ask(nlohmann::json command, std::chrono::milliseconds patience = std::chrono::seconds(5));

 private:
  struct Socket;
  std::string endpoint_;
  std::unique_ptr<Socket> socket_;
  std::int64_t last_id_ = 0;
};

}  // namespace stages
