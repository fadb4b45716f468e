// network_weights: the parameters of the network by what they do in it.
#include "stages/model/network_weights.h"

#include <torch/types.h>

#include <stdexcept>

namespace model {
namespace {

// Calls visit(name, sizes, member) for every parameter, in the reference's order: the one place that knows
// the names.
template <class Visitor>
void for_each_parameter(const Config& config, NetworkWeights& w, Visitor visit) {
  using Sizes = std::vector<std::int64_t>;
  const std::int64_t d = config.d_model, p = config.patch_size;
  const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out, Linear& member) {
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
    visit("patch.x_embedder.weight", Sizes{d, config.patch_dim()}, w.patch.linear.weight);
    visit("patch.x_embedder.bias", Sizes{d}, w.patch.linear.bias);
    visit("patch.position", Sizes{config.patches(), d}, w.patch.position);
  } else {
    // Indices into the reference's Sequential: conv, SiLU, (norm,) conv, SiLU, (norm).
    const bool norms = stem_has_norms(config);
    const std::int64_t half = d / 2;
    const std::string prefix = "patch.init_conv_seq.";
    visit(prefix + "0.weight", Sizes{half, config.in_channels, 5, 5}, w.patch.conv1.weight);
    visit(prefix + "0.bias", Sizes{half}, w.patch.conv1.bias);
    if (norms) {
      visit(prefix + "2.weight", Sizes{half}, w.patch.norm1_weight);
      visit(prefix + "2.bias", Sizes{half}, w.patch.norm1_bias);
    }
    visit(prefix + (norms ? "3" : "2") + ".weight", Sizes{half, half, 5, 5}, w.patch.conv2.weight);
    visit(prefix + (norms ? "3" : "2") + ".bias", Sizes{half}, w.patch.conv2.bias);
    if (norms) {
      visit(prefix + "5.weight", Sizes{half}, w.patch.norm2_weight);
      visit(prefix + "5.bias", Sizes{half}, w.patch.norm2_bias);
    }
    visit("patch.x_embedder.weight", Sizes{d, p * p * half}, w.patch.linear.weight);
    visit("patch.x_embedder.bias", Sizes{d}, w.patch.linear.bias);
  }
  visit("norm.w", Sizes{d}, w.norm);
  linear("unpatch.unpatch", d, config.patch_dim(), w.unpatch);
  visit("action_emb.weight", Sizes{config.n_actions, d}, w.actions);
  if (config.n_past_actions > 0)
    visit("past_action_emb.weight", Sizes{config.n_past_actions, config.n_actions, d}, w.past_actions);
  linear("time_emb_mixer", d, d, w.noise_level);
  linear("modulation.1", d, 2 * d, w.modulation);
}

}  // namespace

std::vector<Shape> layout_of(const Config& config) {
  std::vector<Shape> layout;
  NetworkWeights unused;
  for_each_parameter(config, unused,
                     [&](const std::string& name, const std::vector<std::int64_t>& sizes, at::Tensor&) {
                       layout.push_back({name, sizes});
                     });
  return layout;
}

NetworkWeights bind(const Config& config, const Parameters& parameters) {
  NetworkWeights weights;
  std::size_t next = 0;
  for_each_parameter(
      config, weights,
      [&](const std::string& name, const std::vector<std::int64_t>& sizes, at::Tensor& member) {
        if (next >= parameters.size() || parameters.names[next] != name ||
            parameters.tensors[next].sizes() != sizes) {
          throw std::invalid_argument(
              "mmdit: parameter " + std::to_string(next) + " is " +
              (next < parameters.size()
                   ? parameters.names[next] + " " + c10::str(parameters.tensors[next].sizes())
                   : "missing") +
              ", expected " + name + " " + c10::str(at::IntArrayRef(sizes)) +
              "; these are not this network's weights");
        }
        member = parameters.tensors[next++];
      });
  if (config.stem == "conv") {
    // The reference flattens a patch in (channel, row, column) order; here channels come last.
    at::Tensor& weight = weights.patch.linear.weight;
    weight = weight.view({config.d_model, -1, config.patch_size, config.patch_size})
                 .permute({0, 2, 3, 1})
                 .flatten(1);
  }
  return weights;
}

}  // namespace model
