// rope: rotary positions, which make attention scores depend on how far apart two tokens are.
#include "stages/model/rope.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace model {
namespace {

// One token's factors for the `width` channels that turn with `position`.
void turn(double position, std::int64_t width, double base, float* cos, float* sin) {
  const double slower = std::pow(base, -2.0 / static_cast<double>(width));
  double phase = position;
  for (std::int64_t j = 0; j < width / 2; ++j, phase *= slower) {
    cos[2 * j] = cos[2 * j + 1] = static_cast<float>(std::cos(phase));
    sin[2 * j] = sin[2 * j + 1] = static_cast<float>(std::sin(phase));
  }
}

}  // namespace

Rotation rotation(const Config& config, std::int64_t first, std::int64_t frames) {
  Rotation result{at::empty({frames * config.tokens(), config.d_head()}),
                  at::empty({frames * config.tokens(), config.d_head()})};
  rotation(config, first, frames, result.cos.data_ptr<float>(), result.sin.data_ptr<float>());
  return result;
}

void rotation(const Config& config, std::int64_t first, std::int64_t frames, float* cos, float* sin) {
  const std::int64_t tokens = config.tokens(), d_head = config.d_head();
  // Channels that nothing turns keep cos 1 and sin 0.
  std::fill_n(cos, frames * tokens * d_head, 1.0F);
  std::fill_n(sin, frames * tokens * d_head, 0.0F);
  const std::int64_t columns = config.width / config.patch_size, rows = config.height / config.patch_size;
  const bool vid = config.rope_type == "vid";
  const std::int64_t third = d_head / 3;
  const double base = static_cast<double>(vid ? config.C / 3 : config.C);
  for (std::int64_t frame = first; frame < first + frames; ++frame) {
    for (std::int64_t token = 0; token < tokens; ++token, cos += d_head, sin += d_head) {
      if (vid) {
        const bool is_register = token >= config.patches();
        turn(static_cast<double>(is_register ? columns : token % columns), third, base, cos, sin);
        turn(static_cast<double>(is_register ? rows : token / columns), third, base, cos + third,
             sin + third);
        turn(static_cast<double>(frame), third, base, cos + 2 * third, sin + 2 * third);
      } else {
        turn(static_cast<double>(frame * tokens + token), d_head, base, cos, sin);
      }
    }
  }
}

at::Tensor rotate(const at::Tensor& x, const Rotation& rotation) {
  // (x0, x1) → (−x1, x0)
  const at::Tensor even = x.slice(-1, 0, x.size(-1), 2), odd = x.slice(-1, 1, x.size(-1), 2);
  const at::Tensor turned = at::stack({-odd, even}, -1).flatten(-2);
  return x * rotation.cos + turned * rotation.sin;
}

}  // namespace model
