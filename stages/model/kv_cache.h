// kv_cache: what one player's network remembers, a ring of the last n_window−1 frames' keys, values and actions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "stages/model/config.h"

namespace model {

// The ring has n_window slots: n_window−1 for committed frames and one for the frame being evaluated, which
// is written in place of the oldest, just evicted one. So what a frame sees is always a prefix of the slots
// and nothing is ever copied or concatenated; softmax does not care that the slots are in ring order. `rope`
// and `vid` keys arrive normed and rotated at their absolute frame index, `learn` keys normed only.
//
// Owned by one player and used by one call at a time. Tensors of the network's own device and type, actions on the
// host; no autograd.
class KvCache {
 public:
  explicit KvCache(const Config& config, at::Device device = at::kCPU, at::ScalarType dtype = at::kFloat);
  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;

  // Forgets everything; the memory stays.
  void reset();

  // Committed frames that the next frame will see, 0 … n_window−1.
  std::int64_t frames() const;

  // Frames ever committed since reset(): the absolute index of the next frame.
  std::int64_t position() const { return position_; }

  // For the network
  // --------------------------------------------------------------------------------------------

  struct View {
    at::Tensor keys,
        values;  // [H, L·N, d_head], L = frames() + 1 slots; valid until the next call. Of the keys
                 // the numbers of a column lie side by side, as the kernels want them
  };

  // Writes the keys and values [H, N, d_head] of the frame under evaluation and returns all that it sees in
  // `block`, itself included. Overwritten by the next call unless commit() comes first.
  View write(std::int64_t block, const at::Tensor& keys, const at::Tensor& values);

  // Where a block's numbers are, for float32 on the CPU: what write() and a View do, without tensors. Throws
  // std::invalid_argument where it is none of this.
  struct Ring {
    float* keys;    // [H, d_head, n_window·N and some], rows k_row apart
    float* values;  // [H, n_window·N, d_head], heads v_head apart
    std::int64_t k_row, v_head;
    std::int64_t slot;  // of the tokens of the frame under evaluation the first
    std::int64_t seen;  // tokens, from the ring's first on
  };
  Ring ring(std::int64_t block);

  // For every slot of a View the age order of its frame: 0 is the oldest in view, frames() the one under
  // evaluation.
  std::vector<std::int64_t> order() const;

  // Writes the actions of the frames under evaluation, from position() on: fewer than n_window, or 1. Overwritten by the next
  // call unless commit() comes first.
  void write(std::span<const std::int64_t> actions);

  // The action of the frame that is `age` before the one under evaluation, 1 … n_window−1; 0, none, where there was no frame.
  std::int64_t past_action(std::int64_t age) const;

  // Keeps what was written since the last commit, in every block, as the frames from position() on.
  void commit(std::int64_t frames);

  // Whether it was made for a network of these sizes.
  bool fits(const Config& config) const;

 private:
  std::int64_t window_, tokens_, position_ = 0;
  at::Tensor keys_;                    // [n_blocks, H, d_head, n_window·N and some]
  at::Tensor values_;                  // [n_blocks, H, n_window·N, d_head]
  std::vector<std::int64_t> actions_;  // by slot
};

}  // namespace model
