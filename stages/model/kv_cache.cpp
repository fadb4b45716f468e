// kv_cache: what one player's network remembers, a ring of the last n_window−1 frames' keys, values and actions.
#include "stages/model/kv_cache.h"

#include <torch/types.h>

#include <algorithm>
#include <stdexcept>

#include "stages/model/kernels/attention.h"

namespace model {

KvCache::KvCache(const Config& config, at::Device device, at::ScalarType dtype)
    : window_(config.n_window),
      tokens_(config.tokens()),
      keys_(at::zeros({config.n_blocks, config.n_heads, config.d_head(),
                       kernels::key_row(config.n_window * config.tokens())},
                      at::device(device).dtype(dtype))),
      values_(at::zeros({config.n_blocks, config.n_heads, config.n_window * config.tokens(), config.d_head()},
                        keys_.options())),
      actions_(static_cast<std::size_t>(config.n_window)) {}

void KvCache::reset() { position_ = 0; }

std::int64_t KvCache::frames() const { return std::min(position_, window_ - 1); }

KvCache::View KvCache::write(std::int64_t block, const at::Tensor& keys, const at::Tensor& values) {
  const at::Tensor all_keys = keys_.select(0, block).transpose(1, 2), all_values = values_.select(0, block);
  const std::int64_t slot = position_ % window_ * tokens_;
  all_keys.narrow(1, slot, keys.size(1)).copy_(keys);
  all_values.narrow(1, slot, values.size(1)).copy_(values);
  const std::int64_t seen = (frames() + 1) * tokens_;
  return {all_keys.narrow(1, 0, seen), all_values.narrow(1, 0, seen)};
}

KvCache::Ring KvCache::ring(std::int64_t block) {
  if (!keys_.device().is_cpu() || keys_.scalar_type() != at::kFloat)
    throw std::invalid_argument("the cache is not of float32 on the CPU, where its network computes");
  return {keys_.data_ptr<float>() + block * keys_.stride(0),
          values_.data_ptr<float>() + block * values_.stride(0),
          keys_.stride(2),
          values_.stride(1),
          position_ % window_ * tokens_,
          (frames() + 1) * tokens_};
}

void KvCache::write(std::span<const std::int64_t> actions) {
  std::int64_t frame = position_;
  for (const std::int64_t action : actions) actions_[static_cast<std::size_t>(frame++ % window_)] = action;
}

std::int64_t KvCache::past_action(std::int64_t age) const {
  return age <= frames() ? actions_[static_cast<std::size_t>((position_ - age) % window_)] : 0;
}

std::vector<std::int64_t> KvCache::order() const {
  std::vector<std::int64_t> order(static_cast<std::size_t>(frames() + 1));
  const std::int64_t oldest = position_ - frames();
  for (std::int64_t age = 0; age <= frames(); ++age) {
    order[static_cast<std::size_t>((oldest + age) % window_)] = age;
  }
  return order;
}

void KvCache::commit(std::int64_t frames) { position_ += frames; }

bool KvCache::fits(const Config& config) const {
  return window_ == config.n_window && tokens_ == config.tokens() && keys_.size(0) == config.n_blocks &&
         keys_.size(1) == config.n_heads && keys_.size(2) == config.d_head();
}

}  // namespace model
