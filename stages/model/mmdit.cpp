// mmdit: the world model, a block-causal diffusion transformer over frames of patches, as pure functions of
// weights.
#include "stages/model/mmdit.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <tuple>

#include "stages/model/attention.h"
#include "stages/model/cached_pass.h"
#include "stages/model/network_weights.h"
#include "stages/model/ops.h"
#include "stages/model/patch_embed.h"
#include "stages/model/rope.h"

namespace model {
namespace {

void expect(const char* what, const at::Tensor& tensor, at::IntArrayRef sizes) {
  if (tensor.sizes() == sizes) return;
  throw std::invalid_argument(std::string("mmdit: ") + what + " is " + c10::str(tensor.sizes()) +
                              ", expected " + c10::str(sizes));
}

void check_inputs(const Config& config, const at::Tensor& x, const at::Tensor& t, const at::Tensor& action) {
  if (x.dim() < 3) {
    throw std::invalid_argument("mmdit: x is " + c10::str(x.sizes()) +
                                ", expected [batch, frames, patches, numbers]");
  }
  std::vector<std::int64_t> sizes(x.sizes().begin(), x.sizes().end() - 2);
  if (x.dim() == 4 && x.size(1) == 0)
    throw std::invalid_argument("mmdit: the clip is empty, expected a frame or more");
  for (const at::Tensor* each : {&t, &action})
    if (each->device() != x.device())
      throw std::invalid_argument("mmdit: x is on " + x.device().str() + ", t or action on " +
                                  each->device().str() + ", expected one device for all");
  expect("t", t, sizes);
  expect("action", action, sizes);
  sizes.insert(sizes.end(), {config.patches(), config.patch_dim()});
  expect("x", x, sizes);
  if (action.scalar_type() != at::kLong) throw std::invalid_argument("mmdit: action is not int64");
}

// sin (even) and cos (odd) of position·1e4^(−2j/d): [T, d]. In float32 throughout, since the reference's
// table is.
at::Tensor noise_level_table(const Config& config) {
  const at::Tensor frequency =
      at::exp(at::arange(0, config.d_model, 2, at::kFloat) * -std::log(1e4) / config.d_model);
  const at::Tensor phase = at::arange(config.T, at::kFloat).unsqueeze(1) * frequency;
  return at::stack({phase.sin(), phase.cos()}, -1).flatten(1);
}

// Of the frames before each of action [B,T] the actions, newest first; 0, none, before the first: n times [B,T].
std::vector<at::Tensor> past_actions(const at::Tensor& action, std::int64_t n) {
  const at::Tensor padded = at::constant_pad_nd(action, {n, 0});
  std::vector<at::Tensor> past;
  for (std::int64_t age = 1; age <= n; ++age) past.push_back(padded.narrow(1, n - age, action.size(1)));
  return past;
}

// What a block's attention does with its heads: [B,H,T·N,d_head] each, or queries of the last frames alone → as many
// rows as queries, [B,·,d].
using Attention = std::function<at::Tensor(std::int64_t block, const Heads& heads)>;

// x [B,T,P,D], before: n_past_actions times [B,T] → [B,T-past,P,D]
at::Tensor run(const Config& config, const Ops& ops, const NetworkWeights& w, const at::Tensor& level_table,
               const Rotation& rotation, const at::Tensor& x, const at::Tensor& t, const at::Tensor& action,
               const std::vector<at::Tensor>& before, std::int64_t past, const Attention& attention) {
  const std::int64_t batch = x.size(0), frames = x.size(1), tokens = config.tokens(), d = config.d_model;
  const at::ScalarType dtype = w.norm.scalar_type();

  const at::Tensor level = (t.to(at::kFloat) * static_cast<double>(config.T - 1)).to(at::kLong);
  at::Tensor condition =
      ops.linear(at::embedding(level_table, level), w.noise_level) + at::embedding(w.actions, action);
  for (std::size_t i = 0; i < before.size(); ++i)
    condition = condition + at::embedding(w.past_actions[static_cast<std::int64_t>(i)], before[i]);
  condition = at::silu(condition).unsqueeze(2);  // [B,T,1,d]; every use of it is behind this SiLU

  // [B,T,P,D] → [B,T,P,d] → [B,T,N,d]
  at::Tensor z = at::cat({embed_patches(config, ops, w.patch, x.to(dtype)),
                          w.registers.expand({batch, frames, config.n_registers, d})},
                         2);
  for (std::size_t i = 0; i < w.blocks.size(); ++i) {
    const BlockWeights& block = w.blocks[i];
    std::vector<at::Tensor> m = ops.linear(condition, block.modulation).chunk(6, -1);  // μ1 σ1 γ1 μ2 σ2 γ2

    at::Tensor h = ops.modulated_norm(z, block.norm1, m[0], m[1]);
    const at::Tensor qkv = ops.linear(h, block.qkv).view({batch, frames * tokens, 3 * d});
    Heads heads = ops.heads(qkv, block.norm_q, block.norm_k, rotation, config.n_heads);
    if (past > 0 && i + 1 == w.blocks.size()) {  // nobody will look at what the past becomes
      heads.q = heads.q.narrow(2, past * tokens, (frames - past) * tokens);
      const auto leave = [&](at::Tensor& all) { all = all.narrow(1, past, frames - past); };
      leave(z), leave(condition);
      std::for_each(m.begin(), m.end(), leave);
    }
    h = attention(static_cast<std::int64_t>(i), heads).view(z.sizes());
    z = ops.gated_sum(z, m[2], ops.linear(h, block.out));

    h = ops.modulated_norm(z, block.norm2, m[3], m[4]);
    h = ops.gated_silu(ops.linear(h, block.up), ops.linear(h, block.gate));
    z = ops.gated_sum(z, m[5], ops.linear(h, block.down));
  }
  const std::vector<at::Tensor> m = ops.linear(condition, w.modulation).chunk(2, -1);
  z = z.narrow(2, 0, config.patches());  // the registers have done their work
  return ops.linear(ops.modulated_norm(z, w.norm, m[0], m[1]), w.unpatch).to(x.scalar_type());
}

// The learned factors at these positions in view, [·, d_head].
Rotation learned(const NetworkWeights& w, std::int64_t first, std::int64_t count) {
  return {w.rope_cos.flatten(0, 2).narrow(0, first, count), w.rope_sin.flatten(0, 2).narrow(0, first, count)};
}

// The same for the keys of a ring, whose slots hold frames of these ages.
Rotation learned_in_ring(const Config& config, const NetworkWeights& w,
                         const std::vector<std::int64_t>& order) {
  const std::int64_t tokens = config.tokens(), slots = static_cast<std::int64_t>(order.size());
  const at::Tensor frame = at::tensor(order, w.rope_cos.options().dtype(at::kLong));
  const auto gather = [&](const at::Tensor& table) {
    // [1,n_window·N,1,d_head] → [slots·N,d_head]
    return table.view({config.n_window, tokens * config.d_head()})
        .index_select(0, frame)
        .view({slots * tokens, -1});
  };
  return {gather(w.rope_cos), gather(w.rope_sin)};
}

void check_caches(const Config& config, std::int64_t batch, std::span<KvCache* const> caches, bool changes) {
  if (static_cast<std::int64_t>(caches.size()) != batch) {
    throw std::invalid_argument("mmdit: there are " + std::to_string(caches.size()) + " caches for " +
                                std::to_string(batch) + " rows, expected one a row");
  }
  for (std::size_t row = 0; row < caches.size(); ++row) {
    if (!caches[row] || !caches[row]->fits(config)) {
      throw std::invalid_argument("mmdit: the cache of row " + std::to_string(row) +
                                  " is missing or another network's, expected one made for this config");
    }
    if (changes && std::find(caches.begin(), caches.begin() + row, caches[row]) != caches.begin() + row) {
      throw std::invalid_argument(
          "mmdit: row " + std::to_string(row) +
          " shares its cache with an earlier one, expected one of its own where it commits");
    }
  }
}

// A clip longer than the window, with learned positions: what a key's position is depends on who looks, so
// every frame turns the keys in its view anew.
at::Tensor attend_learned_sliding(const Config& config, const NetworkWeights& w, const Heads& heads) {
  const std::int64_t tokens = config.tokens(), frames = heads.q.size(2) / tokens;
  std::vector<at::Tensor> seen;
  for (std::int64_t frame = 0; frame < frames; ++frame) {
    const std::int64_t oldest = std::max<std::int64_t>(0, frame - config.n_window + 1),
                       before = frame - oldest;
    const std::int64_t begin = oldest * tokens, count = (before + 1) * tokens;
    seen.push_back(attend(
        rotate(heads.q.narrow(2, frame * tokens, tokens), learned(w, before * tokens, tokens)),
        rotate(heads.k.narrow(2, begin, count), learned(w, 0, count)), heads.v.narrow(2, begin, count), {}));
  }
  return at::cat(seen, 2).transpose(1, 2).flatten(2);
}

Sight sight(const Config& config, std::int64_t frames, std::int64_t past, const at::Tensor& mask) {
  return {frames, past, config.bidirectional ? 0 : config.n_window, mask};
}

// The fused operations know float32 on the CPU alone, and parameters as they lie in a file.
bool fuses(const Config& config, const Parameters& weights, const at::Tensor& x) {
  const auto fits = [](const at::Tensor& tensor) {
    return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
  };
  return x.device().is_cpu() && can_fuse(config) &&
         std::all_of(weights.tensors.begin(), weights.tensors.end(), fits);
}

// Rows of action [B,T] as those of the frames under evaluation in their caches, where the network will ask for them.
void remember(const Config& config, const at::Tensor& action, std::span<KvCache* const> caches) {
  if (config.n_past_actions == 0) return;  // the copy from a GPU has to wait for it
  const at::Tensor rows = action.cpu().contiguous();
  const auto frames = static_cast<std::size_t>(rows.size(1));
  for (std::size_t row = 0; row < caches.size(); ++row)
    caches[row]->write({rows.data_ptr<std::int64_t>() + row * frames, frames});
}

// Mmdit::forward_cached() on any device, committing nothing.
at::Tensor plain_cached(const Config& config, const NetworkWeights& w, const at::Tensor& level_table,
                        const at::Tensor& x, const at::Tensor& t, const at::Tensor& action,
                        std::span<KvCache* const> caches) {
  const bool learns = config.rope_type == "learn";
  std::vector<at::Tensor> coss, sins;
  for (const KvCache* cache : caches) {
    const Rotation turn = learns ? learned(w, cache->frames() * config.tokens(), config.tokens())
                                 : rotation(config, cache->position(), 1);
    coss.push_back(turn.cos);
    sins.push_back(turn.sin);
  }
  // [B,1,N,d_head]: every player is at a frame of its own
  const Rotation own{at::stack(coss).unsqueeze(1).to(w.norm.options()),
                     at::stack(sins).unsqueeze(1).to(w.norm.options())};
  const auto attention = [&](std::int64_t block, const Heads& heads) {
    const at::Tensor queries = learns ? rotate(heads.q, own) : heads.q;
    std::vector<at::Tensor> seen;
    for (std::size_t row = 0; row < caches.size(); ++row) {
      const auto b = static_cast<std::int64_t>(row);
      KvCache::View view = caches[row]->write(block, heads.k[b], heads.v[b]);
      if (learns) view.keys = rotate(view.keys, learned_in_ring(config, w, caches[row]->order()));
      seen.push_back(attend(queries.narrow(0, b, 1), view.keys.unsqueeze(0), view.values.unsqueeze(0), {}));
    }
    return at::cat(seen).transpose(1, 2).flatten(2);
  };
  at::Tensor before = at::empty({config.n_past_actions, x.size(0), 1}, at::kLong);
  auto* past = before.data_ptr<std::int64_t>();
  for (std::int64_t age = 1; age <= config.n_past_actions; ++age)
    for (const KvCache* cache : caches) *past++ = cache->past_action(age);
  return run(config, plain_ops(), w, level_table, learns ? Rotation{} : own, x.unsqueeze(1), t.unsqueeze(1),
             action.unsqueeze(1), before.to(x.device()).unbind(), 0, attention)
      .squeeze(1);
}

}  // namespace

// What clips of one length share, made at first use. The only state that is not fixed at construction, behind
// a lock.
struct Mmdit::Tables {
  struct Clip {
    at::Tensor noise_levels;  // [T, d]
    Rotation rotation;        // [frames·N, d_head]
    at::Tensor mask;          // see frame_mask()
  };

  // masked: with a mask, S·S numbers, which only the plain operations want.
  Clip clip(const Config& config, std::int64_t frames, std::int64_t past, const at::Tensor& like,
            bool masked) {
    const std::scoped_lock lock(mutex_);
    Clip& clip = clips_[{frames, past, like.device().type(), like.device().index(), like.scalar_type()}];
    if (!clip.noise_levels.defined()) {
      const Rotation exact = rotation(config, 0, frames - past);
      const auto table = [&](const at::Tensor& own) {
        return (past > 0 ? at::cat({own, own}) : own).to(like.options());
      };
      clip.rotation = {table(exact.cos), table(exact.sin)};
      clip.noise_levels = noise_level_table(config).to(like.options());
    }
    if (masked && !clip.mask.defined()) clip.mask = frame_mask(config, frames, past);
    if (clip.mask.defined()) clip.mask = clip.mask.to(like.options());
    return clip;
  }

 private:
  using Key = std::tuple<std::int64_t, std::int64_t, at::DeviceType, at::DeviceIndex, at::ScalarType>;
  std::mutex mutex_;
  std::map<Key, Clip> clips_;
};

Mmdit::Mmdit(Config config) : config_(std::move(config)), tables_(std::make_shared<Tables>()) {
  config_.check();
  layout_ = std::make_shared<const std::vector<Shape>>(layout_of(config_));
}

Parameters Mmdit::initialise(std::uint64_t seed) const {
  const at::NoGradGuard no_grad;
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  const double like_registers = 1 / std::sqrt(static_cast<double>(config_.d_model));
  Parameters parameters;
  double bound = 0;  // a layer's bias comes after its weight and has the same
  for (const auto& [name, sizes] : *layout_) {
    const auto starts = [&](std::string_view prefix) { return name.starts_with(prefix); };
    const auto ends = [&](std::string_view suffix) { return name.ends_with(suffix); };
    const bool is_group_norm = starts("patch.init_conv_seq.2.") || starts("patch.init_conv_seq.5.");
    at::Tensor tensor = at::empty(sizes);
    if (ends(".w")) {
      tensor.fill_(1);
    } else if (starts("patch.init_conv_seq.") && stem_has_norms(config_) && is_group_norm) {
      tensor.fill_(ends(".weight") ? 1 : 0);
    } else if (starts("rope_seq.")) {
      const Rotation start = rotation(config_, 0, config_.n_window);
      tensor.copy_((ends("sins") ? start.sin : start.cos).view(sizes));
    } else if (starts("registers") || starts("patch.position")) {
      tensor.normal_(0, like_registers, generator);
    } else if (starts("action_emb.")) {
      tensor.normal_(0, 1, generator);
    } else {
      if (ends(".weight")) bound = 1 / std::sqrt(static_cast<double>(tensor[0].numel()));
      tensor.uniform_(-bound, bound, generator);
      const bool zero_bias =
          ends(".bias") && (starts("patch.x_embedder.") || name.find(".geglu.") != std::string::npos);
      const bool zero_gate =
          name.find("modulation.1.") != std::string::npos || starts("unpatch.") || starts("past_action_emb.");
      if (zero_bias || (zero_gate && config_.init == "zero_gates")) tensor.zero_();
    }
    parameters.add(name, tensor);
  }
  return parameters;
}

at::Tensor Mmdit::forward(const Parameters& weights, const at::Tensor& x, const at::Tensor& t,
                          const at::Tensor& action, std::int64_t past, Products products) const {
  if (x.dim() != 4) {
    throw std::invalid_argument("mmdit: x is " + c10::str(x.sizes()) +
                                ", expected [batch, frames, patches, numbers]");
  }
  check_inputs(config_, x, t, action);
  const std::int64_t frames = x.size(1);
  if (config_.bidirectional && frames > config_.n_window) {
    throw std::invalid_argument("mmdit: the clip has " + std::to_string(frames) +
                                " frames, expected at most n_window (" + std::to_string(config_.n_window) +
                                ") of a bidirectional network");
  }
  if (past != 0 && (past < 0 || frames != 2 * past))
    throw std::invalid_argument("mmdit: the clip has " + std::to_string(frames) +
                                " frames, expected twice its past of " + std::to_string(past));
  if (past != 0 && !takes_past())
    throw std::invalid_argument(
        "mmdit: a past beside the clip, expected a causal network with rope_type: rope or vid");
  const NetworkWeights w = bind(config_, weights);
  const Ops& ops = fuses(config_, weights, x) ? fused_ops(products) : plain_ops();
  const Tables::Clip tables = tables_->clip(config_, frames, past, w.norm, &ops == &plain_ops());
  const bool learns = config_.rope_type == "learn", slides = learns && frames > config_.n_window;
  Rotation turn = tables.rotation;
  if (learns) turn = slides ? Rotation{} : learned(w, 0, frames * config_.tokens());
  const auto attention = [&](std::int64_t, const Heads& heads) {
    return slides ? attend_learned_sliding(config_, w, heads)
                  : ops.attend_clips(heads, sight(config_, frames, past, tables.mask));
  };
  // A frame that stands beside its past comes behind the same ones as the frame there.
  auto before = past_actions(action.narrow(1, 0, frames - past), config_.n_past_actions);
  if (past > 0)
    for (at::Tensor& each : before) each = at::cat({each, each}, 1);
  return run(config_, ops, w, tables.noise_levels, turn, x, t, action, before, past, attention);
}

bool Mmdit::takes_past() const { return !config_.bidirectional && config_.rope_type != "learn"; }

struct Mmdit::Packed {
  NetworkWeights w;
  const Ops& ops;
  std::optional<CachedPass> pass;  // where these operations are the fused ones
};

std::shared_ptr<const Mmdit::Packed> Mmdit::pack(const Parameters& weights) const {
  const at::NoGradGuard no_grad;
  auto packed = std::make_shared<Packed>(Packed{bind(config_, weights), plain_ops(), {}});
  if (!fuses(config_, weights, packed->w.norm)) return packed;
  const at::Tensor levels = tables_->clip(config_, 1, 0, packed->w.norm, false).noise_levels;
  return std::make_shared<Packed>(
      Packed{packed->w, fused_ops(Products::float32), CachedPass(config_, packed->w, levels)});
}

at::Tensor Mmdit::forward_cached(const Packed& packed, const at::Tensor& x, const at::Tensor& t,
                                 const at::Tensor& action, std::span<KvCache* const> caches,
                                 bool commit) const {
  const at::NoGradGuard no_grad;
  if (x.dim() != 3) {
    throw std::invalid_argument("mmdit: x is " + c10::str(x.sizes()) +
                                ", expected [players, patches, numbers]");
  }
  check_inputs(config_, x, t, action);
  check_caches(config_, x.size(0), caches, commit);
  at::Tensor prediction;
  if (packed.pass) {
    if (!x.device().is_cpu())
      throw std::invalid_argument("mmdit: x is on " + x.device().str() +
                                  ", expected the CPU, where the weights are");
    const at::Tensor numbers = x.to(at::kFloat).contiguous(), levels = t.to(at::kFloat).contiguous(),
                     actions = action.contiguous();
    prediction = at::empty_like(numbers);
    (*packed.pass)(numbers.data_ptr<float>(), levels.data_ptr<float>(), actions.data_ptr<std::int64_t>(),
                   caches, prediction.data_ptr<float>());
    prediction = prediction.to(x.scalar_type());
  } else {
    prediction =
        plain_cached(config_, packed.w, tables_->clip(config_, 1, 0, packed.w.norm, false).noise_levels, x, t,
                     action, caches);
  }
  remember(config_, action.unsqueeze(1), caches);
  if (commit) {
    for (KvCache* cache : caches) cache->commit(1);
  }
  return prediction;
}

void Mmdit::prefill(const Packed& packed, const at::Tensor& x, const at::Tensor& t, const at::Tensor& action,
                    std::span<KvCache* const> caches) const {
  const at::NoGradGuard no_grad;
  if (x.dim() != 4 || x.size(1) >= config_.n_window) {
    throw std::invalid_argument("mmdit: x is " + c10::str(x.sizes()) +
                                ", expected [players, frames, patches, numbers] of at most n_window−1 (" +
                                std::to_string(config_.n_window - 1) + ") frames");
  }
  check_inputs(config_, x, t, action);
  check_caches(config_, x.size(0), caches, true);
  const auto& [w, ops, unused] = packed;
  const Tables::Clip tables = tables_->clip(config_, x.size(1), 0, w.norm, &ops == &plain_ops());
  const bool learns = config_.rope_type == "learn";
  const Rotation turn = learns ? learned(w, 0, x.size(1) * config_.tokens()) : tables.rotation;
  for (KvCache* cache : caches) cache->reset();
  const auto attention = [&, &op = ops](std::int64_t block, const Heads& heads) {
    for (std::size_t row = 0; row < caches.size(); ++row) {
      const auto b = static_cast<std::int64_t>(row);
      caches[row]->write(block, heads.k[b], heads.v[b]);
    }
    const Heads turned = learns ? Heads{rotate(heads.q, turn), rotate(heads.k, turn), heads.v} : heads;
    return op.attend_clips(turned, sight(config_, x.size(1), 0, tables.mask));
  };
  run(config_, ops, w, tables.noise_levels, learns ? Rotation{} : turn, x, t, action,
      past_actions(action, config_.n_past_actions), 0, attention);
  remember(config_, action, caches);
  for (KvCache* cache : caches) cache->commit(x.size(1));
}

at::Tensor Mmdit::velocity(const at::Tensor& prediction, const at::Tensor& x, const at::Tensor& t) const {
  if (config_.predicts == "velocity") return prediction;
  // The floor keeps the error of a nearly clean frame from being blown up. Source: JiT arXiv:2511.13720
  return (prediction - x) / t.clamp_min(0.05).unsqueeze(-1).unsqueeze(-1);
}

at::Tensor Mmdit::target(const at::Tensor& x_t, const at::Tensor& v, const at::Tensor& t) const {
  if (config_.predicts == "velocity") return v;
  return x_t + t.unsqueeze(-1).unsqueeze(-1) * v;
}

at::Tensor Mmdit::loss(const at::Tensor& prediction, const at::Tensor& x_t, const at::Tensor& v,
                       const at::Tensor& t, double huber) const {
  if (huber == 0) return at::mse_loss(prediction, target(x_t, v, t));
  const auto square = (prediction - target(x_t, v, t)).square().mean({-2, -1});
  return (2 * huber * square / ((square + huber * huber).sqrt() + huber)).mean();  // without cancellation
}

}  // namespace model
