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

at::Tensor embed_patches(const Config& config, const PatchEmbedWeights& w, const at::Tensor& patches) {
  if (config.stem == "linear") return at::linear(patches, w.linear_weight, w.linear_bias) + w.position;

  const std::int64_t batch = patches.size(0), frames = patches.size(1), p = config.patch_size;
  // [B,T,P,D] → [B·T,C,H,W]
  at::Tensor z = unpatchify(patches, config.height, config.width, p).flatten(0, 1);
  z = at::silu(at::conv2d(z, w.conv1_weight, w.conv1_bias, 1, 2));
  if (stem_has_norms(config)) z = at::group_norm(z, 32, w.norm1_weight, w.norm1_bias);
  z = at::silu(at::conv2d(z, w.conv2_weight, w.conv2_bias, 1, 2));
  if (stem_has_norms(config)) z = at::group_norm(z, 32, w.norm2_weight, w.norm2_bias);
  // [B·T,d/2,H,W] → [B,T,P,d/2·py·px]
  z = z.reshape({batch, frames, config.d_model / 2, config.height / p, p, config.width / p, p})
          .permute({0, 1, 3, 5, 2, 4, 6})
          .reshape({batch, frames, config.patches(), -1});
  return at::linear(z, w.linear_weight, w.linear_bias);
}

}  // namespace model
