// patchify: cut frames into square patches.
//
// Only rearranges. Noise is independent for each pixel, so noising patches is noising pixels.
#include <torch/types.h>

#include "graph/stage.h"
#include "stages/model/config.h"
#include "stages/model/patch_embed.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Patchify {
  struct Params {
    model::Config model;
  };

  Patches operator()(const Clip& clips) const {
    const auto size = params.model.patch_size;
    return {model::patchify(clips.frames, size),
            clips.action,
            clips.frames.size(3),
            clips.frames.size(4),
            size,
            clips.background};
  }

  Params params;
};

const bool registered =
    graph::Stage<Patchify>("patchify")
        .summary("cut frames into square patches")
        .in("clips", "frames [B,T,C,H,W], action [B,T]")
        .out("patches", "x [B,T,P,D], P = HW/p², D = p·p·C in (row, column, colour) order")
        .block("model", &Patchify::Params::model)
        .add();

}  // namespace
}  // namespace stages
