// subscription: the receiving end of taps.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "stages/types.h"
#include "stages/wire/endpoint.h"

namespace stages {

/// A connected SUB socket. Bytes come from strangers. What is not fetched in time is dropped, oldest first, and shows as
/// a gap in `seq`. Any thread.
class Subscription {
 public:
  virtual ~Subscription() = default;
  /// The next message; nothing when none came in time or `stop` was asked for, and at once when none can come.
  virtual std::optional<std::string> next(std::stop_token stop, std::chrono::milliseconds patience) = 0;
  /// Why no message can come any more, in a line: the connection was up and broke, and all that had come is fetched.
  /// What said its End before may well have gone. Nothing as long as some may come.
  virtual std::optional<std::string> lost() const = 0;
  /// As it was given.
  virtual const std::string& endpoint() const = 0;
};

/// To all messages that begin with one of the prefixes: "frames/" or, for one topic alone, its name and a zero byte.
/// Connects when somebody is there, now or later. Throws graph::Error.
std::unique_ptr<Subscription> subscribe_to(const std::string& endpoint,
                                           const std::vector<std::string>& prefixes, const ConnectKeys& keys);

/// To what there is to hear at an endpoint. Throws graph::Error.
std::unique_ptr<Subscription> subscribe_to_hello(const std::string& endpoint, const ConnectKeys& keys);

/// What comes there: at first, at once; then again when a live parameter has changed, and now and then. Nothing when
/// nobody said so in time. Throws std::runtime_error of one line for what is no Hello.
std::optional<Hello> next_hello(Subscription& subscription, std::chrono::milliseconds patience);

/// The pipeline's text in a Hello. Throws graph::Error when it is none.
std::string pipeline_of(const Hello& hello);

/// The first of them.
std::optional<Hello> hello_of(const std::string& endpoint, const ConnectKeys& keys,
                              std::chrono::milliseconds patience);

}  // namespace stages
