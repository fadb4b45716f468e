// patch_embed: pixels to patches and back, and patches to tokens.
#include "stages/model/patch_embed.h"

#include <torch/types.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace model {
namespace {

std::vector<std::int64_t> with_tail(at::IntArrayRef lead, std::initializer_list<std::int64_t> tail) {
  std::vector<std::int64_t> sizes(lead.begin(), lead.end());
  sizes.insert(sizes.end(), tail);
  return sizes;
}

}  // namespace

at::Tensor patchify(const at::Tensor& frames, std::int64_t patch_size) {
  const std::int64_t p = patch_size;
  if (frames.dim() < 3 || p < 1 || frames.size(-1) % p != 0 || frames.size(-2) % p != 0) {
    throw std::invalid_argument(
        "patchify: frames are " + c10::str(frames.sizes()) +
        ", expected [..., channels, height, width] with sides that are multiples of patch size " +
        std::to_string(p));
  }
  const std::int64_t channels = frames.size(-3), rows = frames.size(-2) / p, columns = frames.size(-1) / p;
  const at::IntArrayRef lead = frames.sizes().slice(0, frames.dim() - 3);
  // [..., C, H, W] → [·, C, rows, py, columns, px] → [·, rows, columns, py, px, C]
  return frames.reshape({-1, channels, rows, p, columns, p})
      .permute({0, 2, 4, 3, 5, 1})
      .reshape(with_tail(lead, {rows * columns, p * p * channels}));
}

at::Tensor unpatchify(const at::Tensor& patches, std::int64_t height, std::int64_t width,
                      std::int64_t patch_size) {
  const std::int64_t p = patch_size;
  if (p < 1 || patches.dim() < 2 || height % p != 0 || width % p != 0 ||
      patches.size(-2) != height / p * (width / p) || patches.size(-1) % (p * p) != 0) {
    throw std::invalid_argument("unpatchify: patches are " + c10::str(patches.sizes()) + ", expected [..., " +
                                std::to_string(height) + "*" + std::to_string(width) + "/" +
                                std::to_string(p) + "², " + std::to_string(p) + "²*channels]");
  }
  const std::int64_t channels = patches.size(-1) / (p * p), rows = height / p, columns = width / p;
  const at::IntArrayRef lead = patches.sizes().slice(0, patches.dim() - 2);
  // [..., P, D] → [·, rows, columns, py, px, C] → [·, C, rows, py, columns, px]
  return patches.reshape({-1, rows, columns, p, p, channels})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape(with_tail(lead, {channels, height, width}));
}

bool stem_has_norms(const Config& config) { return config.d_model > 32 && config.d_model % 32 == 0; }

at::Tensor embed_patches(const Config& config, const Ops& ops, const PatchEmbedWeights& w,
                         const at::Tensor& patches) {
  if (config.stem == "linear") return ops.linear(patches, w.linear) + w.position;

  const std::int64_t batch = patches.size(0), frames = patches.size(1), p = config.patch_size;
  const bool norms = stem_has_norms(config);
  // [B,T,P,D] → [B·T,H,W,C]
  at::Tensor z =
      unpatchify(patches, config.height, config.width, p).flatten(0, 1).permute({0, 2, 3, 1}).contiguous();
  z = ops.convolve(z, w.conv1);
  z = norms ? ops.silu_group_norm(z, w.norm1_weight, w.norm1_bias) : at::silu(z);
  z = ops.convolve(z, w.conv2);
  z = norms ? ops.silu_group_norm(z, w.norm2_weight, w.norm2_bias) : at::silu(z);
  // [B·T,H,W,d/2] → [B,T,P,py·px·d/2]
  z = z.reshape({batch, frames, config.height / p, p, config.width / p, p * config.d_model / 2})
          .transpose(3, 4)
          .reshape({batch, frames, config.patches(), -1});
  return ops.linear(z, w.linear);
}

}  // namespace model
