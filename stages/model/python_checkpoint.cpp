// python_checkpoint: a Python file's tensors as the weights of a config.
#include "stages/model/python_checkpoint.h"

#include <torch/types.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "stages/model/rope.h"
#include "stages/model/safetensors.h"
#include "stages/model/torch_pickle.h"

namespace model {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

// Tables that the reference saves among its weights and that follow from the config. Those of `learn` are parameters,
// and as its blocks share them, they are saved again under every block.
Shapes tables_of(const Config& config) {
  const std::int64_t window = config.n_window * config.tokens(), d_head = config.d_head(), third = d_head / 3;
  Shapes positions;
  if (config.rope_type == "vid") {
    const std::int64_t columns = config.width / config.patch_size, rows = config.height / config.patch_size;
    for (const auto& [axis, count] :
         {std::pair("x", columns + 1), std::pair("y", rows + 1), std::pair("t", config.n_window)}) {
      positions[std::string("sins_") + axis] = positions[std::string("coss_") + axis] = {1, count, 1, third};
      positions[std::string("pos_") + axis] = {window};
    }
  } else {
    positions["sins"] = positions["coss"] = {1, window, 1, d_head};
  }
  Shapes tables{{"time_emb.pe", {config.T, config.d_model}}};
  if (!config.bidirectional) tables["mask"] = {window, window};
  for (const auto& [name, sizes] : positions) {
    if (config.rope_type != "learn") tables["rope_seq." + name] = sizes;
    for (std::int64_t block = 0; block < config.n_blocks; ++block)
      tables["blocks." + std::to_string(block) + ".selfattn.rope." + name] = sizes;
  }
  return tables;
}

// What no shape shows: the base of the rotary frequencies, and that learned positions are not `rope`'s.
void check_positions(const Config& config, const Parameters& all, const std::string& where) {
  const bool vid = config.rope_type == "vid";
  const std::string name = vid ? "rope_seq.sins_t" : "rope_seq.sins";
  if (config.rope_type == "learn" || !all.contains(name)) return;
  const at::Tensor table = all.at(name).to(at::kFloat).flatten(0, 2);  // [positions, channels]
  at::Tensor expected = rotation(config, 0, config.n_window).sin;      // [n_window·N, d_head]
  const std::int64_t third = config.d_head() / 3;
  if (vid) expected = expected.slice(0, 0, {}, config.tokens()).narrow(1, 2 * third, third);
  // bfloat16 has three digits.
  if ((table - expected).abs().max().item<double>() > 0.01)
    fail(where + ": its positions are not the config's: another C than " + std::to_string(config.C) +
         ", or another rope_type than " + config.rope_type);
}

}  // namespace

Parameters load_python(const std::filesystem::path& path, const Config& config) {
  const Parameters all = read_python(path);
  const std::string where = path.string() + " (a Python checkpoint, for which a config was given)";
  Parameters weights = match(config, all, where, tables_of(config));
  check_positions(config, all, where);
  return weights;
}

WeightsFile load_weights(const std::filesystem::path& path, const std::optional<Config>& config) {
  const bool python = is_python(path);
  if (!python && read_metadata(path).contains(config_key)) {
    WeightsFile file = load(path);
    if (config && !(*config == file.config))
      fail(path.string() +
           ": says itself what model it is for, and it is another than the one given; leave " +
           "--config or `model:` out");
    return file;
  }
  if (!config)
    fail(path.string() +
         ": does not say what model it is for; name the config that it was trained with (--config FILE)");
  if (python) return {*config, load_python(path, *config), {}};
  TensorFile file = read_safetensors(path);
  return {*config, match(*config, file.tensors, path.string()), std::move(file.metadata)};
}

}  // namespace model
