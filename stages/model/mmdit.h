// mmdit: the world model, a block-causal diffusion transformer over frames of patches, as pure functions of
// weights.
//
//   c = Linear(emb(floor(t·(T−1)))) + ActionEmbedding(a)                       per frame, where n_past_actions says
//       + Σ PastActionEmbedding_i(the action i frames before)                  so with those before it
//   h = RMSNorm(z)(1+σ1)+μ1;   z += γ1·Attention(h)                            (μ,σ,γ)×2 = Linear(SiLU(c))
//   h = RMSNorm(z)(1+σ2)+μ2;   z += γ2·Down(Up(h)·SiLU(Gate(h)))               n_blocks times
//   out = Linear(RMSNorm(z)(1+σ)+μ)                                            (μ,σ) = Linear(SiLU(c))
//
// Sources: toy-wm (github.com/wendlerc/toy-wm), whose parameter names and numbers these are · Peebles & Xie
// 2023 arXiv:2212.09748 (AdaLN) · Chen et al. 2024 arXiv:2407.01392 (a noise level per frame)
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "stages/model/config.h"
#include "stages/model/kv_cache.h"
#include "stages/model/network_weights.h"
#include "stages/model/parameters.h"
#include "stages/model/products.h"

namespace model {

// Immutable and cheap to copy; every function may be called from several threads at once. Computation runs on
// the weights' device and in their type; predictions come back in the type of x. Float32 on the CPU takes the
// fused operations (see ops.h), unless positions are learned, d_head is no multiple of 8 or above 512, the
// weights are not contiguous, or an x86 processor lacks AVX2 or FMA: then it takes the plain ones.
//
// B clips or players, T frames, P patches, D numbers a patch, N = P + registers tokens. t is the noise level in
// [0,1], 0 data, 1 noise; action is int64 in [0, n_actions), 0 none. Wrong shapes throw std::invalid_argument.
class Mmdit {
 public:
  // Throws std::invalid_argument when config.check() does.
  explicit Mmdit(Config config);

  const Config& config() const { return config_; }

  // Names and shapes of the parameters, in the order in which every Parameters of this network holds them.
  const std::vector<Shape>& layout() const { return *layout_; }

  // Fresh float32 weights on the CPU, a function of the seed alone. init `reference`: the reference's
  // (PyTorch's defaults). `zero_gates`: the same, but modulations, the output layer and past actions start at 0, so that
  // every block starts as the identity and the network predicts 0 (AdaLN-zero, arXiv:2212.09748).
  Parameters initialise(std::uint64_t seed) const;

  // x [B,T,P,D], t [B,T], action [B,T] → prediction [B,T,P,D], of what config().predicts says. A token sees
  // its own frame and the n_window−1 before it, each of which was told the actions of the n_past_actions frames before it in x,
  // and none where there are fewer. Differentiable in the weights and x.
  //
  // With a past, T = 2·past: frames 0 … past−1 are given, as play remembers them, and are not predicted; frame past+i
  // stands at the time of frame i, and sees itself and the given frames before i, but none of its fellows. So the
  // prediction is [B,past,P,D]. Only for a network that takes_past(). Source: Hu et al. 2024 arXiv:2412.07720
  //
  // `products` are those of the fused operations, in the backward pass, too; see fused_ops().
  at::Tensor forward(const Parameters& weights, const at::Tensor& x, const at::Tensor& t,
                     const at::Tensor& action, std::int64_t past = 0,
                     Products products = Products::float32) const;

  // Whether clips may have a past beside them: not with learned positions, nor where frames see later ones.
  bool takes_past() const;

  // Weights as playing wants them: what does not depend on frames is done once. To be used with this network.
  struct Packed;
  std::shared_ptr<const Packed> pack(const Parameters& weights) const;

  // One new frame for each of B players: x [B,P,D], t [B], action [B] → prediction [B,P,D]. Row b sees the
  // frames in *caches[b] and itself; rings may be of different length. With `commit` every cache takes this
  // evaluation's keys and values as its newest frame; without it no cache changes, and then the same cache
  // may serve several rows. Not differentiable. Nothing is committed when it throws.
  at::Tensor forward_cached(const Packed& weights, const at::Tensor& x, const at::Tensor& t,
                            const at::Tensor& action, std::span<KvCache* const> caches, bool commit) const;

  // Resets the caches and fills them with T ≤ n_window−1 frames in one block-causal pass: x [B,T,P,D], t
  // [B,T], action [B,T], row b into *caches[b]. The same as committing the frames one after the other: before the first
  // there was no action.
  void prefill(const Packed& weights, const at::Tensor& x, const at::Tensor& t, const at::Tensor& action,
               std::span<KvCache* const> caches) const;

  // The velocity v = x0 − z that a prediction amounts to: itself, or (x̂0 − x)/max(t, 0.05) where the network
  // predicts data. x [...,P,D] as given to the network, t [...].
  at::Tensor velocity(const at::Tensor& prediction, const at::Tensor& x, const at::Tensor& t) const;

  // What the prediction should have been, given the noised x_t [...,P,D], the true velocity v and t [...]: v,
  // or x0 = x_t + t·v.
  at::Tensor target(const at::Tensor& x_t, const at::Tensor& v, const at::Tensor& t) const;

  // Mean squared error of the prediction against target(): a scalar. Losses of the two kinds do not compare. With
  // huber = c > 0 the mean over frames of 2c (√(e² + c²) − c), where e² is a frame's mean squared error: e² as long as e is
  // small, and 2ce when it is large: in doubt between two frames the best answer is then not their mean, but the likelier.
  // Source: Song, Dhariwal 2023 arXiv:2310.14189 section 3.3 (pseudo-Huber)
  at::Tensor loss(const at::Tensor& prediction, const at::Tensor& x_t, const at::Tensor& v,
                  const at::Tensor& t, double huber = 0) const;

 private:
  struct Tables;

  Config config_;
  std::shared_ptr<const std::vector<Shape>> layout_;
  std::shared_ptr<Tables> tables_;
};

}  // namespace model
