// cached_pass: an evaluation of the network for one new frame of each player, over the kernels alone.
#include "stages/model/cached_pass.h"

#include <torch/types.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "stages/model/kernels/attention.h"
#include "stages/model/kernels/convolution.h"
#include "stages/model/kernels/pointwise.h"
#include "stages/model/kernels/scratch.h"
#include "stages/model/rope.h"

namespace model {
namespace {

std::vector<float> numbers(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  const at::Tensor flat = tensor.contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

Linear all_modulations(const NetworkWeights& w) {
  std::vector<at::Tensor> weights, biases;
  for (const BlockWeights& block : w.blocks) {
    weights.push_back(block.modulation.weight);
    biases.push_back(block.modulation.bias);
  }
  weights.push_back(w.modulation.weight);
  biases.push_back(w.modulation.bias);
  return {at::cat(weights), at::cat(biases)};
}

// Hands out parts of a thread's memory; with no memory it counts what is asked for.
class Room {
 public:
  static constexpr std::int64_t line = 16;  // floats; every part begins a cache line

  explicit Room(float* memory) : memory_(memory) {}
  float* take(std::int64_t count) {
    float* const part = memory_ ? memory_ + used_ : nullptr;
    used_ += (count + line - 1) / line * line;
    return part;
  }
  std::int64_t used() const { return used_; }

 private:
  float* memory_;
  std::int64_t used_ = 0;
};

// What lies between the layers, for R players.
struct Workspace {
  Workspace(Room& room, const Config& c, std::int64_t R)
      : condition(room.take(R * c.d_model)),
        modulation(room.take(R * (6 * c.n_blocks + 2) * c.d_model)),
        cos(room.take(R * c.tokens() * c.d_head())),
        sin(room.take(R * c.tokens() * c.d_head())),
        z(room.take(R * c.tokens() * c.d_model)),
        h(room.take(R * c.tokens() * c.d_model)),
        out(room.take(R * c.tokens() * c.d_model)),
        q(room.take(R * c.tokens() * c.d_model)),
        wide(room.take(R * c.tokens() * c.d_model * std::max<std::int64_t>(3, c.expansion))) {}

  float *condition, *modulation;  // [R,d], [R,6d·blocks + 2d]
  float *cos, *sin;               // [R,N,d_head]
  float *z, *h, *out;             // [R,N,d]
  float* q;                       // [R,H,N,d_head]
  float* wide;                    // [R,N,3d] or [R,N,expansion·d]
};

Workspace workspace(const Config& config, std::int64_t R) {
  Room nowhere(nullptr);
  Workspace(nowhere, config, R);
  Room room(kernels::scratch(kernels::Scratch::pass, nowhere.used()));
  return Workspace(room, config, R);
}

// x [R,P,D] → [R,H,W,C]
void to_image(const Config& c, const float* x, std::int64_t R, float* image) {
  const std::int64_t p = c.patch_size, columns = c.width / p, row = p * c.in_channels;
  for (std::int64_t r = 0; r < R; ++r)
    for (std::int64_t patch = 0; patch < c.patches(); ++patch)
      for (std::int64_t y = 0; y < p; ++y, x += row)
        std::copy_n(x, row,
                    image + ((r * c.height + patch / columns * p + y) * columns + patch % columns) * row);
}

// z [R,H,W,channels] → [R,P,p·p·channels]
void to_patches(const Config& c, const float* z, std::int64_t R, std::int64_t channels, float* patches) {
  const std::int64_t p = c.patch_size, columns = c.width / p, row = p * channels;
  for (std::int64_t r = 0; r < R; ++r)
    for (std::int64_t patch = 0; patch < c.patches(); ++patch)
      for (std::int64_t y = 0; y < p; ++y, patches += row)
        std::copy_n(z + ((r * c.height + patch / columns * p + y) * columns + patch % columns) * row, row,
                    patches);
}

}  // namespace

CachedPass::PackedLinear::PackedLinear(const Linear& linear)
    : in(linear.weight.size(1)), out(linear.weight.size(0)), bias(numbers(linear.bias)) {
  panels.resize(static_cast<std::size_t>(kernels::packed_size(in, out)));
  kernels::pack(numbers(linear.weight).data(), 1, in, in, out, panels.data());
}

void CachedPass::PackedLinear::operator()(const float* x, float* y, std::int64_t rows) const {
  kernels::multiply(x, factor(), y, rows, out, in);
}

CachedPass::PackedFilters::PackedFilters(const Filters& filters, const at::Tensor& given_norm_weight,
                                         const at::Tensor& given_norm_bias)
    : in(filters.weight.size(1)),
      out(filters.weight.size(0)),
      bias(numbers(filters.bias)),
      norm_weight(numbers(given_norm_weight)),
      norm_bias(numbers(given_norm_bias)) {
  panels.resize(static_cast<std::size_t>(kernels::packed_filters_size(in, out)));
  kernels::pack_filters(numbers(filters.weight).data(), in, out, panels.data());
}

void CachedPass::PackedFilters::operator()(const Config& config, std::int64_t R, const float* image,
                                           float* wide, float* y) const {
  const kernels::Images images{R, config.height, config.width};
  kernels::pad(images, in, image, wide);
  kernels::convolve(images, in, out, wide, panels.data(), bias.data(), y);
  if (norm_weight.empty()) return kernels::silu(R * config.height * config.width * out, y);
  kernels::forward(
      kernels::SiluGroupNorm{R, config.height * config.width, out, y, norm_weight.data(), norm_bias.data()},
      y, nullptr, nullptr);
}

CachedPass::Block::Block(const BlockWeights& weights)
    : norm1(numbers(weights.norm1)),
      norm_q(numbers(weights.norm_q)),
      norm_k(numbers(weights.norm_k)),
      norm2(numbers(weights.norm2)),
      qkv(weights.qkv),
      out(weights.out),
      up(weights.up),
      gate(weights.gate),
      down(weights.down) {}

CachedPass::CachedPass(const Config& config, const NetworkWeights& w, const at::Tensor& level_table)
    : config_(config),
      levels_(numbers(at::linear(level_table, w.noise_level.weight, w.noise_level.bias))),
      actions_(numbers(w.actions)),
      past_actions_(numbers(w.past_actions)),
      modulation_(all_modulations(w)),
      blocks_(w.blocks.begin(), w.blocks.end()),
      patch_(w.patch.linear),
      position_(numbers(w.patch.position)),
      registers_(numbers(w.registers)),
      norm_(numbers(w.norm)),
      unpatch_(w.unpatch) {
  if (config.stem == "linear") return;
  filters_.emplace_back(w.patch.conv1, w.patch.norm1_weight, w.patch.norm1_bias);
  filters_.emplace_back(w.patch.conv2, w.patch.norm2_weight, w.patch.norm2_bias);
}

// x [R,P,D] → z [R,N,d]; q, k and all else that is wide is free meanwhile.
void CachedPass::embed(const float* x, std::int64_t R, float* z) const {
  const Config& c = config_;
  const std::int64_t d = c.d_model, P = c.patches(), N = c.tokens(), D = patch_.in;
  const float* patches = x;
  if (!filters_.empty()) {
    const std::int64_t pixels = R * c.height * c.width,
                       padded = R * (c.height + 2 * kernels::margin) * (c.width + 2 * kernels::margin),
                       channels = filters_[0].out, in = filters_[0].in;
    const auto cut = [&](Room room) {
      return std::array{room.take(padded * std::max(in, channels)),
                        room.take(pixels * std::max(in, channels)),
                        room.take(pixels * std::max(in, channels))};
    };
    constexpr std::int64_t rounding = 3 * Room::line;
    const auto [wide, one, other] = cut(Room(
        kernels::scratch(kernels::Scratch::stem, (padded + 2 * pixels) * std::max(in, channels) + rounding)));
    to_image(c, x, R, other);
    filters_[0](c, R, other, wide, one);
    filters_[1](c, R, one, wide, other);
    to_patches(c, other, R, channels, one);
    patches = one;
  }
  for (std::int64_t r = 0; r < R; ++r, z += N * d) {
    patch_(patches + r * P * D, z, P);
    for (std::size_t i = 0; i < position_.size(); ++i) z[i] += position_[i];
    std::copy(registers_.begin(), registers_.end(), z + P * d);
  }
}

void CachedPass::operator()(const float* x, const float* t, const std::int64_t* action,
                            std::span<KvCache* const> caches, float* prediction) const {
  const Config& c = config_;
  const auto R = static_cast<std::int64_t>(caches.size());
  const std::int64_t d = c.d_model, N = c.tokens(), P = c.patches(), H = c.n_heads, d_head = c.d_head(),
                     stride = modulation_.out;
  const Workspace w = workspace(c, R);

  for (std::int64_t r = 0; r < R; ++r) {
    if (!(t[r] >= 0 && t[r] <= 1) || action[r] < 0 || action[r] >= c.n_actions)
      throw std::invalid_argument("mmdit: row " + std::to_string(r) + " has t " + std::to_string(t[r]) +
                                  ", action " + std::to_string(action[r]) +
                                  ", expected t in [0,1] and an action in [0," + std::to_string(c.n_actions) +
                                  ")");
    const KvCache& cache = *caches[static_cast<std::size_t>(r)];
    const auto level = static_cast<std::int64_t>(t[r] * static_cast<float>(c.T - 1));
    float* const condition = w.condition + r * d;
    const auto add = [&](const std::vector<float>& embeddings, std::int64_t row) {
      const float* const embedding = embeddings.data() + row * d;
      for (std::int64_t j = 0; j < d; ++j) condition[j] += embedding[j];
    };
    std::copy_n(levels_.data() + level * d, d, condition);
    add(actions_, action[r]);
    for (std::int64_t age = 1; age <= c.n_past_actions; ++age)
      add(past_actions_, (age - 1) * c.n_actions + cache.past_action(age));
    rotation(c, cache.position(), 1, w.cos + r * N * d_head, w.sin + r * N * d_head);
  }
  kernels::silu(R * d, w.condition);
  modulation_(w.condition, w.modulation, R);
  embed(x, R, w.z);

  const float* m = w.modulation;  // μ1 σ1 γ1 μ2 σ2 γ2 of row 0
  for (std::size_t i = 0; i < blocks_.size(); ++i, m += 6 * d) {
    const Block& block = blocks_[i];
    kernels::forward(kernels::ModulatedNorm{R, N, d, stride, w.z, block.norm1.data(), m, m + d}, w.h);
    block.qkv(w.h, w.wide, R * N);
    for (std::int64_t r = 0; r < R; ++r) {
      const KvCache::Ring ring = caches[static_cast<std::size_t>(r)]->ring(static_cast<std::int64_t>(i));
      float* const q = w.q + r * N * d;
      kernels::forward(kernels::Heads{1, N, H, d_head, w.wide + r * N * 3 * d, block.norm_q.data(),
                                      block.norm_k.data(), w.cos + r * N * d_head, w.sin + r * N * d_head, 0},
                       q, ring.keys + ring.slot, ring.values + ring.slot * d_head, ring.k_row, ring.v_head);
      kernels::attend(kernels::Cached{H, N, ring.seen, d_head, d_head * ring.k_row, ring.k_row, ring.v_head,
                                      q, ring.keys, ring.values},
                      w.h + r * N * d);
    }
    block.out(w.h, w.out, R * N);
    kernels::forward(kernels::GatedSum{R, N, d, stride, w.z, m + 2 * d, w.out}, w.z);

    kernels::forward(kernels::ModulatedNorm{R, N, d, stride, w.z, block.norm2.data(), m + 3 * d, m + 4 * d},
                     w.h);
    kernels::multiply_gated(w.h, block.up.factor(), block.gate.factor(), w.wide, R * N, block.up.out, d);
    block.down(w.wide, w.out, R * N);
    kernels::forward(kernels::GatedSum{R, N, d, stride, w.z, m + 5 * d, w.out}, w.z);
  }
  for (std::int64_t r = 0; r < R; ++r, m += stride)  // the registers have done their work
    kernels::forward(kernels::ModulatedNorm{1, P, d, stride, w.z + r * N * d, norm_.data(), m, m + d},
                     w.h + r * P * d);
  unpatch_(w.h, prediction, R * P);
}

}  // namespace model
