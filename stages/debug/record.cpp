// record: writes all that comes over an edge into a file, which `replay` sends again.
//
//   recorded: {type: record, from: noise}                                                       nothing is lost
//   recorded: {type: record, from: {stage: noise, when_full: drop_oldest, capacity: 256}}       nothing is held up
//
// The file has its name only when it is complete; until then, and for ever when the run is killed, it ends in
// .part. What the edge dropped is counted at the end of the file. A training run that goes on from step 500 adds a
// recorded-000500.rec.
#include <spdlog/spdlog.h>

#include <chrono>
#include <optional>

#include "graph/stage.h"
#include "stages/debug/recording.h"

namespace stages {
namespace {

struct Record {
  struct Params {
    std::string path;
  };
  using Clock = std::chrono::steady_clock;

  void start(const graph::Context& context) {
    graph::require(context.run != nullptr, "record needs a run");
    path = params.path;
    if (path.empty()) path = context.run->folder() / (context.stage + ".rec");
    // A run that goes on leaves what it recorded before.
    if (const auto number = context.run->first(); number > 0)
      path.replace_filename(
          fmt::format("{}-{:06}{}", path.stem().string(), number, path.extension().string()));
    if (std::filesystem::is_regular_file(path))
      throw graph::Error(path.generic_string() + " exists; choose another path, or remove it");
    writer.emplace(path);
  }

  void operator()(const graph::Any& message, const graph::Context& context) {
    const auto now = Clock::now();
    const auto packed = pack(message);
    if (messages == 0) {
      first = now;
      begin(packed.type, context);
    }
    graph::require(packed.type == type, "a recording holds one type of message");
    writer->add(context.number, static_cast<std::uint64_t>(std::chrono::nanoseconds(now - first).count()),
                packed);
    ++messages;
  }

  void finish(const graph::Context& context) {
    if (context.run->failed()) return;  // messages are missing; the .part says so
    if (messages == 0) begin("", context);
    const auto counts = context.run->edges_into(context.stage).at(0).counts;
    writer->end({messages, counts.arrived, counts.dropped});
    spdlog::info("wrote {} messages to {}", messages, path.generic_string());
  }

  void begin(std::string name, const graph::Context& context) {
    type = std::move(name);
    writer->begin(
        {type, context.stage, context.run->edges_into(context.stage).at(0).from, context.run->pipeline()});
  }

  Params params;
  std::filesystem::path path;
  std::optional<RecordingWriter> writer;
  std::string type;
  Clock::time_point first;
  std::uint64_t messages = 0;
};

const bool registered =
    graph::Stage<Record>("record")
        .summary("write an edge to a file")
        .in("messages", "any noun but weights, gradients and snapshots")
        .param("path", &Record::Params::path, "where; empty: the stage's name and .rec in the run's folder")
        .on(graph::Executor::thread)
        .writes()
        .add();

}  // namespace
}  // namespace stages
