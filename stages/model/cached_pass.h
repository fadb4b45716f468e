// cached_pass: an evaluation of the network for one new frame of each player, over the kernels alone.
//
// The same as mmdit.cpp's run() over caches, for float32 on the CPU; here weights are packed once, keys and values go
// straight to where the cache keeps them, and on threads that have run it for as many players before, it allocates
// nothing. (Its callers do: predictions, noise and frames are tensors.) With few tokens at a time that is a third of
// the time.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "stages/model/config.h"
#include "stages/model/kernels/linear.h"
#include "stages/model/kv_cache.h"
#include "stages/model/network_weights.h"

namespace model {

// Immutable; may be used by several threads at once.
class CachedPass {
 public:
  // level_table [T,d]. Where can_fuse() says so.
  CachedPass(const Config& config, const NetworkWeights& weights, const at::Tensor& level_table);

  // x [R,P,D], t [R], action int64 [R] → prediction [R,P,D], all contiguous. Writes the frame's keys and values into
  // caches[r] of row r, and commits nothing. Throws std::invalid_argument on a t or an action out of range.
  void operator()(const float* x, const float* t, const std::int64_t* action,
                  std::span<KvCache* const> caches, float* prediction) const;

 private:
  struct PackedLinear {
    std::int64_t in = 0, out = 0;
    std::vector<float> panels, bias;

    explicit PackedLinear(const Linear& linear);
    void operator()(const float* x, float* y, std::int64_t rows) const;
    kernels::Factor factor() const { return {panels.data(), bias.data()}; }
  };
  struct PackedFilters {
    std::int64_t in = 0, out = 0;
    std::vector<float> panels, bias, norm_weight, norm_bias;  // no norm: empty

    PackedFilters(const Filters& filters, const at::Tensor& norm_weight, const at::Tensor& norm_bias);
    // image [R,H,W,in] → y [R,H,W,out], wide [R,H+4,W+4,in] is for what lies between.
    void operator()(const Config& config, std::int64_t R, const float* image, float* wide, float* y) const;
  };
  struct Block {
    std::vector<float> norm1, norm_q, norm_k, norm2;
    PackedLinear qkv, out, up, gate, down;

    explicit Block(const BlockWeights& weights);
  };

  void embed(const float* x, std::int64_t R, float* z) const;

  Config config_;
  std::vector<float> levels_;        // [T,d], past the layer that mixes them
  std::vector<float> actions_;       // [n_actions,d]
  std::vector<float> past_actions_;  // [n_past_actions,n_actions,d]
  PackedLinear modulation_;          // d → 6d for every block, then 2d
  std::vector<Block> blocks_;
  std::vector<PackedFilters> filters_;  // of the conv stem: two
  PackedLinear patch_;
  std::vector<float> position_;   // of the linear stem: [P,d]
  std::vector<float> registers_;  // [registers,d]
  std::vector<float> norm_;       // [d]
  PackedLinear unpatch_;
};

}  // namespace model
