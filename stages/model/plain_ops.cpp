// plain_ops: the network's operations in libtorch's own.
#include <torch/types.h>

#include <vector>

#include "stages/model/attention.h"
#include "stages/model/ops.h"

namespace model {
namespace {

at::Tensor linear(const at::Tensor& x, const Linear& w) { return at::linear(x, w.weight, w.bias); }

at::Tensor modulated_norm(const at::Tensor& z, const at::Tensor& weight, const at::Tensor& shift,
                          const at::Tensor& scale) {
  return rms_norm(z, weight) * (1 + scale) + shift;
}

Heads heads(const at::Tensor& qkv, const at::Tensor& norm_q, const at::Tensor& norm_k,
            const Rotation& rotation, std::int64_t n_heads) {
  // [B,S,3d] → three of [B,H,S,d_head]
  const std::vector<at::Tensor> parts =
      qkv.view({qkv.size(0), qkv.size(1), 3, n_heads, -1}).permute({2, 0, 3, 1, 4}).unbind(0);
  Heads heads{rms_norm(parts[0], norm_q), rms_norm(parts[1], norm_k), parts[2]};
  if (!rotation.cos.defined()) return heads;
  return {rotate(heads.q, rotation), rotate(heads.k, rotation), heads.v};
}

at::Tensor attend_clips(const Heads& heads, const Sight& sight) {
  const std::int64_t queries = heads.q.size(2), before = heads.k.size(2) - queries;
  const at::Tensor bias = sight.bias.defined() ? sight.bias.narrow(0, before, queries) : sight.bias;
  // [B,H,Q,d_head] → [B,Q,d]
  return attend(heads.q, heads.k, heads.v, bias).transpose(1, 2).flatten(2);
}

at::Tensor gated_silu(const at::Tensor& up, const at::Tensor& gate) { return up * at::silu(gate); }

at::Tensor gated_sum(const at::Tensor& z, const at::Tensor& gate, const at::Tensor& h) {
  return z + gate * h;
}

at::Tensor convolve(const at::Tensor& x, const Filters& w) {
  return at::conv2d(x.permute({0, 3, 1, 2}), w.weight, w.bias, 1, 2).permute({0, 2, 3, 1});
}

at::Tensor silu_group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::group_norm(at::silu(x.permute({0, 3, 1, 2})), 32, weight, bias).permute({0, 2, 3, 1});
}

}  // namespace

const Ops& plain_ops() {
  static const Ops ops{linear,     modulated_norm, heads,    attend_clips,
                       gated_silu, gated_sum,      convolve, silu_group_norm};
  return ops;
}

}  // namespace model
