// mmdit: the world model, a block-causal diffusion transformer over frames of patches, as pure functions of
// weights.
#include "stages/model/mmdit.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <tuple>

#include "stages/model/attention.h"
#include "stages/model/patch_embed.h"
#include "stages/model/rope.h"

namespace model {
namespace {

struct LinearWeights {
  at::Tensor weight, bias;

  at::Tensor operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }
};

struct BlockWeights {
  at::Tensor norm1;              // [d]
  LinearWeights qkv, out;        // d → 3d, d → d
  at::Tensor norm_q, norm_k;     // [d_head]
  at::Tensor norm2;              // [d]
  LinearWeights up, gate, down;  // d → expansion·d (twice), expansion·d → d
  LinearWeights modulation;      // d → 6d
};

struct NetworkWeights {
  at::Tensor registers;           // [registers, d]
  at::Tensor rope_sin, rope_cos;  // learn: [1, n_window·N, 1, d_head]
  std::vector<BlockWeights> blocks;
  PatchEmbedWeights patch;
  at::Tensor norm;            // [d]
  LinearWeights unpatch;      // d → D
  at::Tensor actions;         // [n_actions, d]
  LinearWeights noise_level;  // d → d
  LinearWeights modulation;   // d → 2d
};

// Calls visit(name, sizes, member) for every parameter, in the reference's order: the one place that knows
// the names.
template <class Visitor>
void for_each_parameter(const Config& config, NetworkWeights& w, Visitor visit) {
  using Sizes = std::vector<std::int64_t>;
  const std::int64_t d = config.d_model, p = config.patch_size;
  const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out, LinearWeights& member) {
    visit(name + ".weight", Sizes{out, in}, member.weight);
    visit(name + ".bias", Sizes{out}, member.bias);
  };

  visit("registers", Sizes{config.n_registers, d}, w.registers);
  if (config.rope_type == "learn") {
    const Sizes table{1, config.n_window * config.tokens(), 1, config.d_head()};
    visit("rope_seq.sins", table, w.rope_sin);
    visit("rope_seq.coss", table, w.rope_cos);
  }
  w.blocks.resize(static_cast<std::size_t>(config.n_blocks));
  for (std::size_t i = 0; i < w.blocks.size(); ++i) {
    BlockWeights& block = w.blocks[i];
    const std::string prefix = "blocks." + std::to_string(i) + ".";
    visit(prefix + "norm1.w", Sizes{d}, block.norm1);
    linear(prefix + "selfattn.QKV", d, 3 * d, block.qkv);
    linear(prefix + "selfattn.O", d, d, block.out);
    visit(prefix + "selfattn.lnq.w", Sizes{config.d_head()}, block.norm_q);
    visit(prefix + "selfattn.lnk.w", Sizes{config.d_head()}, block.norm_k);
    visit(prefix + "norm2.w", Sizes{d}, block.norm2);
    linear(prefix + "geglu.up_proj", d, config.expansion * d, block.up);
    linear(prefix + "geglu.up_gate", d, config.expansion * d, block.gate);
    linear(prefix + "geglu.down", config.expansion * d, d, block.down);
    linear(prefix + "modulation.1", d, 6 * d, block.modulation);
  }
  if (config.stem == "linear") {
    visit("patch.x_embedder.weight", Sizes{d, config.patch_dim()}, w.patch.linear_weight);
    visit("patch.x_embedder.bias", Sizes{d}, w.patch.linear_bias);
    visit("patch.position", Sizes{config.patches(), d}, w.patch.position);
  } else {
    // Indices into the reference's Sequential: conv, SiLU, (norm,) conv, SiLU, (norm).
    const bool norms = stem_has_norms(config);
    const std::int64_t half = d / 2;
    const std::string prefix = "patch.init_conv_seq.";
    visit(prefix + "0.weight", Sizes{half, config.in_channels, 5, 5}, w.patch.conv1_weight);
    visit(prefix + "0.bias", Sizes{half}, w.patch.conv1_bias);
    if (norms) {
      visit(prefix + "2.weight", Sizes{half}, w.patch.norm1_weight);
      visit(prefix + "2.bias", Sizes{half}, w.patch.norm1_bias);
    }
    visit(prefix + (norms ? "3" : "2") + ".weight", Sizes{half, half, 5, 5}, w.patch.conv2_weight);
    visit(prefix + (norms ? "3" : "2") + ".bias", Sizes{half}, w.patch.conv2_bias);
    if (norms) {
      visit(prefix + "5.weight", Sizes{half}, w.patch.norm2_weight);
      visit(prefix + "5.bias", Sizes{half}, w.patch.norm2_bias);
    }
    visit("patch.x_embedder.weight", Sizes{d, p * p * half}, w.patch.linear_weight);
    visit("patch.x_embedder.bias", Sizes{d}, w.patch.linear_bias);
  }
  visit("norm.w", Sizes{d}, w.norm);
  linear("unpatch.unpatch", d, config.patch_dim(), w.unpatch);
  visit("action_emb.weight", Sizes{config.n_actions, d}, w.actions);
  linear("time_emb_mixer", d, d, w.noise_level);
  linear("modulation.1", d, 2 * d, w.modulation);
}

NetworkWeights bind(const Config& config, const std::vector<Mmdit::Shape>& layout,
                    const Parameters& parameters) {
  NetworkWeights weights;
  std::size_t next = 0;
  for_each_parameter(
      config, weights,
      [&](const std::string& name, const std::vector<std::int64_t>& sizes, at::Tensor& member) {
        if (next >= parameters.size() || parameters.names[next] != name ||
            parameters.tensors[next].sizes() != sizes) {
          throw std::invalid_argument(
              "mmdit: parameter " + std::to_string(next) + " of " + std::to_string(layout.size()) + " is " +
              (next < parameters.size()
                   ? parameters.names[next] + " " + c10::str(parameters.tensors[next].sizes())
                   : "missing") +
              ", expected " + name + " " + c10::str(at::IntArrayRef(sizes)) +
              "; these are not this network's weights");
        }
        member = parameters.tensors[next++];
      });
  return weights;
}

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

// What a block's attention does with its queries, keys and values: [B,H,T·N,d_head] each, q and k normed, →
// the same.
using Attention = std::function<at::Tensor(std::int64_t block, const at::Tensor& q, const at::Tensor& k,
                                           const at::Tensor& v)>;

// x [B,T,P,D] → [B,T,P,D]
at::Tensor run(const Config& config, const NetworkWeights& w, const at::Tensor& level_table,
               const at::Tensor& x, const at::Tensor& t, const at::Tensor& action,
               const Attention& attention) {
  const std::int64_t batch = x.size(0), frames = x.size(1), tokens = config.tokens(), d = config.d_model;
  const at::ScalarType dtype = w.norm.scalar_type();

  const at::Tensor level = (t.to(at::kFloat) * static_cast<double>(config.T - 1)).to(at::kLong);
  at::Tensor condition = w.noise_level(at::embedding(level_table, level)) + at::embedding(w.actions, action);
  condition = at::silu(condition).unsqueeze(2);  // [B,T,1,d]; every use of it is behind this SiLU

  // [B,T,P,D] → [B,T,P,d] → [B,T,N,d]
  at::Tensor z = at::cat({embed_patches(config, w.patch, x.to(dtype)),
                          w.registers.expand({batch, frames, config.n_registers, d})},
                         2);
  for (std::size_t i = 0; i < w.blocks.size(); ++i) {
    const BlockWeights& block = w.blocks[i];
    const std::vector<at::Tensor> m = block.modulation(condition).chunk(6, -1);  // μ1 σ1 γ1 μ2 σ2 γ2

    at::Tensor h = rms_norm(z, block.norm1) * (1 + m[1]) + m[0];
    // [B,T,N,3d] → three of [B,H,T·N,d_head]
    const std::vector<at::Tensor> qkv =
        block.qkv(h)
            .view({batch, frames * tokens, 3, config.n_heads, config.d_head()})
            .permute({2, 0, 3, 1, 4})
            .unbind(0);
    h = attention(static_cast<std::int64_t>(i), rms_norm(qkv[0], block.norm_q),
                  rms_norm(qkv[1], block.norm_k), qkv[2]);
    // [B,H,T·N,d_head] → [B,T,N,d]
    z = z + m[2] * block.out(h.transpose(1, 2).reshape({batch, frames, tokens, d}));

    h = rms_norm(z, block.norm2) * (1 + m[4]) + m[3];
    z = z + m[5] * block.down(block.up(h) * at::silu(block.gate(h)));
  }
  const std::vector<at::Tensor> m = w.modulation(condition).chunk(2, -1);
  z = z.narrow(2, 0, config.patches());  // the registers have done their work
  return w.unpatch(rms_norm(z, w.norm) * (1 + m[1]) + m[0]).to(x.scalar_type());
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
at::Tensor attend_learned_sliding(const Config& config, const NetworkWeights& w, const at::Tensor& q,
                                  const at::Tensor& k, const at::Tensor& v) {
  const std::int64_t tokens = config.tokens(), frames = q.size(2) / tokens;
  std::vector<at::Tensor> seen;
  for (std::int64_t frame = 0; frame < frames; ++frame) {
    const std::int64_t oldest = std::max<std::int64_t>(0, frame - config.n_window + 1),
                       before = frame - oldest;
    const std::int64_t begin = oldest * tokens, count = (before + 1) * tokens;
    seen.push_back(attend(rotate(q.narrow(2, frame * tokens, tokens), learned(w, before * tokens, tokens)),
                          rotate(k.narrow(2, begin, count), learned(w, 0, count)), v.narrow(2, begin, count),
                          {}));
  }
  return at::cat(seen, 2);
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

  Clip clip(const Config& config, std::int64_t frames, const at::Tensor& like) {
    const std::scoped_lock lock(mutex_);
    Clip& clip = clips_[{frames, like.device().type(), like.device().index(), like.scalar_type()}];
    if (!clip.noise_levels.defined()) {
      const Rotation exact = rotation(config, 0, frames);
      clip.rotation = {exact.cos.to(like.options()), exact.sin.to(like.options())};
      clip.mask = frame_mask(config, frames);
      if (clip.mask.defined()) clip.mask = clip.mask.to(like.options());
      clip.noise_levels = noise_level_table(config).to(like.options());
    }
    return clip;
  }

 private:
  using Key = std::tuple<std::int64_t, at::DeviceType, at::DeviceIndex, at::ScalarType>;
  std::mutex mutex_;
  std::map<Key, Clip> clips_;
};

Mmdit::Mmdit(Config config) : config_(std::move(config)), tables_(std::make_shared<Tables>()) {
  config_.check();
  std::vector<Shape> layout;
  NetworkWeights unused;
  for_each_parameter(config_, unused,
                     [&](const std::string& name, const std::vector<std::int64_t>& sizes, at::Tensor&) {
                       layout.push_back({name, sizes});
                     });
  layout_ = std::make_shared<const std::vector<Shape>>(std::move(layout));
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
      const bool zero_gate = name.find("modulation.1.") != std::string::npos || starts("unpatch.");
      if (zero_bias || (zero_gate && config_.init == "zero_gates")) tensor.zero_();
    }
    parameters.add(name, tensor);
  }
  return parameters;
}

at::Tensor Mmdit::forward(const Parameters& weights, const at::Tensor& x, const at::Tensor& t,
                          const at::Tensor& action) const {
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
  const NetworkWeights w = bind(config_, *layout_, weights);
  const Tables::Clip tables = tables_->clip(config_, frames, w.norm);
  const bool learns = config_.rope_type == "learn";
  const auto attention = [&](std::int64_t, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    if (learns && frames > config_.n_window) return attend_learned_sliding(config_, w, q, k, v);
    const Rotation turn = learns ? learned(w, 0, frames * config_.tokens()) : tables.rotation;
    return attend(rotate(q, turn), rotate(k, turn), v, tables.mask);
  };
  return run(config_, w, tables.noise_levels, x, t, action, attention);
}

at::Tensor Mmdit::forward_cached(const Parameters& weights, const at::Tensor& x, const at::Tensor& t,
                                 const at::Tensor& action, std::span<KvCache* const> caches,
                                 bool commit) const {
  const at::NoGradGuard no_grad;
  if (x.dim() != 3) {
    throw std::invalid_argument("mmdit: x is " + c10::str(x.sizes()) +
                                ", expected [players, patches, numbers]");
  }
  check_inputs(config_, x, t, action);
  check_caches(config_, x.size(0), caches, commit);
  const NetworkWeights w = bind(config_, *layout_, weights);
  const Tables::Clip tables = tables_->clip(config_, 1, w.norm);
  const bool learns = config_.rope_type == "learn";

  std::vector<at::Tensor> coss, sins;
  for (const KvCache* cache : caches) {
    const Rotation turn = learns ? learned(w, cache->frames() * config_.tokens(), config_.tokens())
                                 : rotation(config_, cache->position(), 1);
    coss.push_back(turn.cos);
    sins.push_back(turn.sin);
  }
  // [B,1,N,d_head]: every player is at a frame of its own
  const Rotation own{at::stack(coss).unsqueeze(1).to(w.norm.options()),
                     at::stack(sins).unsqueeze(1).to(w.norm.options())};

  const auto attention = [&](std::int64_t block, const at::Tensor& q, const at::Tensor& k,
                             const at::Tensor& v) {
    const at::Tensor queries = rotate(q, own), keys = learns ? k : rotate(k, own);
    std::vector<at::Tensor> seen;
    for (std::size_t row = 0; row < caches.size(); ++row) {
      const auto b = static_cast<std::int64_t>(row);
      KvCache::View view = caches[row]->write(block, keys[b], v[b]);
      if (learns) view.keys = rotate(view.keys, learned_in_ring(config_, w, caches[row]->order()));
      seen.push_back(attend(queries.narrow(0, b, 1), view.keys.unsqueeze(0), view.values.unsqueeze(0), {}));
    }
    return at::cat(seen);
  };
  const at::Tensor prediction =
      run(config_, w, tables.noise_levels, x.unsqueeze(1), t.unsqueeze(1), action.unsqueeze(1), attention)
          .squeeze(1);
  if (commit) {
    for (KvCache* cache : caches) cache->commit(1);
  }
  return prediction;
}

void Mmdit::prefill(const Parameters& weights, const at::Tensor& x, const at::Tensor& t,
                    const at::Tensor& action, std::span<KvCache* const> caches) const {
  const at::NoGradGuard no_grad;
  if (x.dim() != 4 || x.size(1) >= config_.n_window) {
    throw std::invalid_argument("mmdit: x is " + c10::str(x.sizes()) +
                                ", expected [players, frames, patches, numbers] of at most n_window−1 (" +
                                std::to_string(config_.n_window - 1) + ") frames");
  }
  check_inputs(config_, x, t, action);
  check_caches(config_, x.size(0), caches, true);
  const NetworkWeights w = bind(config_, *layout_, weights);
  const Tables::Clip tables = tables_->clip(config_, x.size(1), w.norm);
  const bool learns = config_.rope_type == "learn";
  for (KvCache* cache : caches) cache->reset();
  const auto attention = [&](std::int64_t block, const at::Tensor& q, const at::Tensor& k,
                             const at::Tensor& v) {
    const Rotation turn = learns ? learned(w, 0, x.size(1) * config_.tokens()) : tables.rotation;
    const at::Tensor turned = rotate(k, turn);
    for (std::size_t row = 0; row < caches.size(); ++row) {
      const auto b = static_cast<std::int64_t>(row);
      caches[row]->write(block, (learns ? k : turned)[b], v[b]);
    }
    return attend(rotate(q, turn), turned, v, tables.mask);
  };
  run(config_, w, tables.noise_levels, x, t, action, attention);
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
                       const at::Tensor& t) const {
  return at::mse_loss(prediction, target(x_t, v, t));
}

}  // namespace model
