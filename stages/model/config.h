// config: the sizes and choices that make a network, and their JSON form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace model {

// Every default is the reference's own (toy-wm), but for `background`, where the reference knows only zero. A weights
// file carries one of these in its metadata, so a file says what it is.
struct Config {
  std::int64_t n_window = 30;      // frames that a token may see, its own included
  std::int64_t patch_size = 3;     // pixels along a side of a patch
  std::int64_t n_heads = 20;       // attention heads; d_head = d_model / n_heads is even
  std::int64_t d_model = 320;      // width of a token; even
  std::int64_t n_blocks = 8;       // transformer blocks
  std::int64_t C = 5000;           // base of the rotary frequencies
  std::string rope_type = "rope";  // rope | vid | learn, see rope.h
  bool bidirectional =
      false;                 // true: frames of a clip also see later ones (clips of at most n_window frames)
  std::int64_t height = 24;  // pixels
  std::int64_t width = 24;   // pixels
  std::int64_t T = 1000;     // noise levels that the embedding tells apart
  std::int64_t in_channels = 3;       // colours of a pixel
  std::int64_t n_registers = 1;       // tokens of the network's own, last in every frame
  std::int64_t n_actions = 4;         // actions, 0 (none) included
  std::int64_t n_past_actions = 0;    // frames before its own whose actions a frame is told, too
  std::int64_t expansion = 4;         // hidden width of the feed-forward layer, in d_model
  std::string stem = "conv";          // conv | linear, see patch_embed.h
  std::string predicts = "velocity";  // velocity | data, see Mmdit::velocity
  std::string init = "reference";     // reference | zero_gates, see Mmdit::initialise
  std::string background = "linear";  // linear | zero: how bytes became the numbers that the weights know

  std::int64_t patches() const { return (height / patch_size) * (width / patch_size); }  // P
  std::int64_t patch_dim() const { return patch_size * patch_size * in_channels; }       // D
  std::int64_t tokens() const { return patches() + n_registers; }                        // N, a frame
  std::int64_t d_head() const { return d_model / n_heads; }

  bool operator==(const Config&) const = default;

  // Throws std::invalid_argument with the key, its value and what was expected.
  void check() const;

  // One flat JSON object with every key, in the order above.
  std::string to_json() const;

  // Keys that are absent are as in `defaults`; the result is checked. Throws std::invalid_argument on bad
  // JSON, an unknown key or a value of the wrong type. The reference's derived `toks_per_frame` is accepted
  // where it is true.
  static Config from_json(std::string_view json, Config defaults);
  static Config from_json(std::string_view json);  // the defaults of this struct
};

}  // namespace model
