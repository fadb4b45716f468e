// unpatchify: put patches together to frames, the inverse of patchify.
//
// The patches say their geometry and background themselves: in play these come with a checkpoint, not from the
// `model:` block.
#include <torch/types.h>

#include "graph/stage.h"
#include "stages/model/patch_embed.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Unpatchify {
  Clip operator()(const Patches& patches) const {
    return {model::unpatchify(patches.x, patches.height, patches.width, patches.patch_size), patches.action,
            patches.background};
  }
};

const bool registered = graph::Stage<Unpatchify>("unpatchify")
                            .summary("put patches together to frames")
                            .in("patches", "x [B,T,P,D], action [B,T]")
                            .out("clips", "frames [B,T,C,H,W], action [B,T]")
                            .add();

}  // namespace
}  // namespace stages
