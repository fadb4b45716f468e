// scripted_actions: plays a script instead of a person.
//
// "30 stay, 60 up" presses nothing for 30 frames and up for 60, and starts over at its end. The tick passes
// through and leaves after its action, so a frame always answers to its own line of the script.
#include <tuple>

#include "graph/stage.h"
#include "stages/play/actions.h"
#include "stages/types.h"

namespace stages {
namespace {

struct ScriptedActions {
  struct Params {
    std::string script = "30 stay, 60 up, 60 down, 30 stay, 20 up, 20 down";
  };

  void start() {
    for (const auto& [frames, action] : script_of(params.script)) {
      length += frames;
      parts.emplace_back(length, action);
    }
  }

  std::tuple<Action, Tick> operator()(const Tick& tick, const graph::Context& context) const {
    const auto frame = context.number % length;
    auto part = parts.begin();
    while (part->first <= frame) ++part;
    return {Action{part->second}, tick};
  }

  Params params;
  std::vector<std::pair<std::uint64_t, std::int64_t>> parts;  // end frame, action
  std::uint64_t length = 0;
};

const bool registered = graph::Stage<ScriptedActions>("scripted_actions")
                            .summary("play a script instead of a person")
                            .in("tick", "time for the next frame")
                            .out("action", "what the script presses in this frame")
                            .out("tick", "the tick, after its action")
                            .param("script", &ScriptedActions::Params::script,
                                   "frames and action (none, stay, up, down), comma-separated; repeats")
                            .add();

}  // namespace
}  // namespace stages
