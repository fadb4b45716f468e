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

at::Tensor frame_mask(const Config& config, std::int64_t frames, std::int64_t past) {
  if (config.bidirectional || frames == 1) return {};
  if (past == 0) past = frames;  // each is then the past of those after it
  const at::Tensor frame = at::arange(frames).repeat_interleave(config.tokens()),
                   time = frame.remainder(past);
  const at::Tensor age = time.unsqueeze(1) - time.unsqueeze(0);
  const at::Tensor is_own = frame.unsqueeze(1).eq(frame.unsqueeze(0)), is_past = frame.lt(past).unsqueeze(0);
  const at::Tensor seen =
      is_own.logical_or(is_past.logical_and(age.gt(0)).logical_and(age.lt(config.n_window)));
  return at::zeros(age.sizes()).masked_fill_(seen.logical_not(), -std::numeric_limits<float>::infinity());
}

}  // namespace model
