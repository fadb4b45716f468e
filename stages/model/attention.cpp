// attention: softmax attention with scale 1 over heads whose queries and keys were normed, and who may see
// whom.
#include "stages/model/attention.h"

#include <torch/types.h>

#include <limits>

namespace model {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight) {
  return x * at::rsqrt(x.square().mean(-1, true) + 1e-6) * weight;
}

at::Tensor attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                  const at::Tensor& bias) {
  const std::int64_t batch = queries.size(0), heads = queries.size(1), d_head = queries.size(3);
  // [B,H,·,d_head] → [B·H,·,d_head]
  const at::Tensor q = queries.reshape({batch * heads, -1, d_head}),
                   k = keys.reshape({batch * heads, -1, d_head}),
                   v = values.reshape({batch * heads, -1, d_head});
  const at::Tensor k_columns = k.transpose(1, 2);
  const at::Tensor scores =
      bias.defined() ? at::baddbmm(bias.unsqueeze(0), q, k_columns) : at::bmm(q, k_columns);
  return at::bmm(at::softmax(scores, -1), v).view({batch, heads, -1, d_head});
}

at::Tensor frame_mask(const Config& config, std::int64_t frames) {
  if (config.bidirectional || frames == 1) return {};
  const at::Tensor frame = at::arange(frames).repeat_interleave(config.tokens());
  const at::Tensor age = frame.unsqueeze(1) - frame.unsqueeze(0);
  return at::zeros(age.sizes())
      .masked_fill_(age.lt(0).logical_or_(age.ge(config.n_window)), -std::numeric_limits<float>::infinity());
}

}  // namespace model
