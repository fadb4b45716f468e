// tensors_of: one line a noun.
#include "stages/debug/tensors_of.h"

#include "graph/error.h"
#include "stages/types.h"

namespace stages {

std::vector<std::pair<std::string, at::Tensor>> tensors_of(const graph::Any& message) {
  if (const auto* episode = message.get<Episode>())
    return {{"frames", episode->frames}, {"action", episode->action}, {"reward", episode->reward}};
  if (const auto* clip = message.get<Clip>()) return {{"frames", clip->frames}, {"action", clip->action}};
  if (const auto* patches = message.get<Patches>()) return {{"x", patches->x}, {"action", patches->action}};
  if (const auto* noisy = message.get<NoisyPatches>())
    return {{"x_t", noisy->x_t}, {"v", noisy->v}, {"t", noisy->t}, {"action", noisy->action}};
  if (const auto* frame = message.get<Frame>()) return {{"pixels", frame->pixels}, {"action", frame->action}};
  if (const auto* turn = message.get<Turn>()) return {{"action", turn->action}};
  throw graph::Error(message.type().name + " has no tensors to look at");
}

}  // namespace stages
