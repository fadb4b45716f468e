// publisher: the sending end of taps.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "stages/types.h"
#include "stages/wire/endpoint.h"

namespace stages {

/// A bound XPUB socket. What a slow reader cannot take is dropped, for this reader alone, and shows as a gap in
/// `seq`. Any thread.
class Publisher {
 public:
  virtual ~Publisher() = default;
  /// Whether somebody may want messages of this topic: if not, there is no use in making one. Who has wanted them counts
  /// until its connection ends; who cancels before that, for good, unless another's end shows that nobody is left.
  virtual bool is_heard(std::string_view topic) const = 0;
  /// Sends bytes that begin with their topic. Never waits.
  virtual void send(std::string message) = 0;
  /// Names a tap in the Hello that newcomers are sent, and that all are sent again when the pipeline has changed. What
  /// gives its pipeline is called as long as this lives; it may throw graph::Error when the run is over.
  virtual void announce(const Tap& tap, std::function<std::string()> pipeline) = 0;
  /// Where others connect, as ZeroMQ writes it.
  virtual std::string endpoint() const = 0;
};

/// The publisher bound there; taps of one pipeline share it. Throws graph::Error when the endpoint is no such, or taken
/// by another process.
std::shared_ptr<Publisher> publish_at(const std::string& endpoint, const BindKeys& keys);

}  // namespace stages
