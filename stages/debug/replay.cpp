// replay: sends what `record` has written, bit for bit and under the same numbers.
//
// Randomness follows seed and number, so the stages behind draw again what they drew then. A number that is
// missing in the recording, dropped or filtered, counts as filtered here. A recording without an end, whose
// recorder was killed, is sent as far as it goes, with a warning.
#include <spdlog/spdlog.h>

#include <chrono>
#include <filesystem>
#include <optional>

#include "graph/stage.h"
#include "stages/debug/recording.h"

namespace stages {
namespace {

struct Replay {
  struct Params {
    std::string path;
    bool realtime = false;
  };
  using Clock = std::chrono::steady_clock;

  void start() {
    graph::require(!params.path.empty(), "path: expected a file that record has written");
    const auto part = params.path + ".part";
    if (!std::filesystem::exists(params.path) && std::filesystem::exists(part))
      throw graph::Error(params.path + ": no such file; to replay what a killed recorder left, take " + part);
    reader.emplace(params.path);
  }

  std::optional<graph::Any> operator()(const graph::Context& context) {
    while (!next || next->number < context.number) {
      next = reader->next();
      if (!next) return say_end(context), std::nullopt;
    }
    if (next->number > context.number) return graph::Any();
    if (!begun) begun = Clock::now() - std::chrono::nanoseconds(next->nanoseconds);
    if (params.realtime && !context.sleep_until(*begun + std::chrono::nanoseconds(next->nanoseconds)))
      return std::nullopt;
    return std::exchange(next, {})->body;
  }

  void say_end(const graph::Context& context) const {
    const auto& head = reader->head();
    if (const auto& totals = reader->totals())
      spdlog::info("{}: {} messages, recorded from {} ({} arrived, {} dropped)", context.stage,
                   totals->messages, head.edge, totals->arrived, totals->dropped);
    else
      spdlog::warn(
          "{}: {} has no end: its {} whole messages were replayed, and how many are missing is not "
          "known; its recorder was killed or still writes",
          context.stage, params.path, reader->messages());
  }

  Params params;
  std::optional<RecordingReader> reader;
  std::optional<RecordedMessage> next;  // not sent yet
  std::optional<Clock::time_point> begun;
};

using P = Replay::Params;
const bool registered =
    graph::Stage<Replay>("replay")
        .summary("send what record has written")
        .out("messages", "as they were recorded")
        .param("path", &P::path, "the recording, or the .part of a killed recorder")
        .param("realtime", &P::realtime, "false: as fast as they are taken; true: with the gaps they had")
        .add();

}  // namespace
}  // namespace stages
