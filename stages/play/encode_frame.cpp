// encode_frame: the network's numbers to 8-bit pixels, and whose they are.
#include <torch/types.h>

#include "graph/stage.h"
#include "stages/data/pixels.h"
#include "stages/types.h"

namespace stages {
namespace {

struct EncodeFrame {
  Frame operator()(const Clip& clips, const Turn& turn) const {
    graph::require(clips.frames.size(1) == 1 && clips.frames.size(0) == turn.action.size(0),
                   "encode_frame takes clips of one frame, [S,1,C,H,W], and the turn that led to them");
    const auto pixels = clips.frames.squeeze(1).permute({0, 2, 3, 1});  // [S,1,C,H,W] → [S,H,W,C]
    return {to_bytes(pixels, clips.background).contiguous(), turn.action, turn.players, turn.number};
  }
};

const bool registered = graph::Stage<EncodeFrame>("encode_frame")
                            .summary("the network's numbers to 8-bit pixels")
                            .in("clips", "frames [S,1,C,H,W] in [-1,1]")
                            .in("turn", "action [S], and who the players are")
                            .out("frame", "pixels [S,H,W,C] uint8, action [S]")
                            .add();

}  // namespace
}  // namespace stages
