// context: what a stage may know of the run it is in.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "graph/edge.h"
#include "graph/message.h"

namespace graph {

/// The run as stages see it. One object a run; all methods may be called from any thread.
class Run {
 public:
  virtual ~Run() = default;
  /// Closes the sources and asks long calls to return early; what is under way is drained.
  virtual void stop() = 0;
  virtual std::stop_token stop_token() const = 0;
  /// Whether some stage has thrown. What arrives after that may be incomplete.
  virtual bool failed() const = 0;
  /// 0…1: how much of `stop:` is done when message `number` leaves its source; 0 for endless runs.
  virtual double progress(std::uint64_t number) const = 0;
  /// Whether `stop:` says when the run ends.
  virtual bool ends() const = 0;
  /// Messages a source will send by `stop: {steps: …}`, or 0 when their number is not limited.
  virtual std::uint64_t steps() const = 0;
  /// Number of the first message, above 0 when the run goes on from a checkpoint.
  virtual std::uint64_t first() const = 0;
  /// Seconds that the run has taken so far, in all the processes that it went on in.
  virtual double elapsed() const = 0;
  /// The folder of a run that writes; empty when no stage of the pipeline does.
  virtual const std::filesystem::path& folder() const = 0;
  /// Changes a live parameter of a stage, which sees it before its next message. Throws Error when there is no
  /// such stage or parameter, when it is not live, or when the value does not fit.
  virtual void set(const std::string& stage, const std::string& parameter, const std::string& value) = 0;
  /// A live parameter as YAML would say it, changes included. Throws Error like set().
  virtual std::string get(const std::string& stage, const std::string& parameter) const = 0;
  /// All live parameters, "stage.parameter", with what get() says of them.
  virtual std::map<std::string, std::string> live() const = 0;
  /// The merged pipeline, as YAML that runs as it is.
  virtual std::string pipeline() const = 0;
  /// The edges into the stage of that name, with their counts so far.
  virtual std::vector<EdgeReport> edges_into(const std::string& stage) const = 0;
};

/// Handed to a stage's body and hooks by value of its call.
struct Context {
  std::uint64_t number = 0;   // of the message; in idle() and finish(), of the last one
  std::string stage;          // the stage's name in the YAML
  Run* run = nullptr;         // null in a harness without a run
  std::stop_token closing{};  // of a source: asks it alone to return, sooner than the run's own token
  std::vector<Any> left;      // in finish(): what gathered inputs took in since the last message

  double progress() const { return run ? run->progress(number) : 0; }
  std::stop_token stop_token() const {
    if (closing.stop_possible()) return closing;
    return run ? run->stop_token() : std::stop_token{};
  }
  /// Sleeps until `when`; false when the run was asked to stop before. For bodies with a thread of their own.
  bool sleep_until(std::chrono::steady_clock::time_point when) const;
  bool stopping() const { return stop_token().stop_requested(); }
  void stop() const {
    if (run) run->stop();
  }
};

}  // namespace graph
