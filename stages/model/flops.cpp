// flops: how much arithmetic a network asks for, counted from its sizes.
#include "stages/model/flops.h"

#include <algorithm>

namespace model {
namespace {

double real(std::int64_t number) { return static_cast<double>(number); }

// Everything of a frame but attention.
double layers_flop(const Config& config) {
  const double N = real(config.tokens()), P = real(config.patches()), D = real(config.patch_dim()),
               d = real(config.d_model), e = real(config.expansion), p = real(config.patch_size),
               pixels = real(config.height * config.width), C = real(config.in_channels);
  const double block = N * (8 + 6 * e) * d * d + 12 * d * d;
  const double stem =
      config.stem == "linear" ? 2 * P * D * d : 25 * pixels * d * (C + d / 2) + P * p * p * d * d;
  return real(config.n_blocks) * block + stem + 6 * d * d + 2 * P * D * d;
}

// Of these, what comes behind the attention of the last block.
double last_flop(const Config& config) {
  const double N = real(config.tokens()), P = real(config.patches()), D = real(config.patch_dim()),
               d = real(config.d_model), e = real(config.expansion);
  return N * (2 + 6 * e) * d * d + 4 * d * d + 2 * P * D * d;
}

// All tokens of one frame looking at all of another, in one block.
double look_flop(const Config& config) {
  const double N = real(config.tokens());
  return 4 * N * N * real(config.d_model);
}

}  // namespace

double play_flop(const Config& config) {
  return layers_flop(config) + real(config.n_blocks * config.n_window) * look_flop(config);
}

double train_flop(const Config& config, std::int64_t frames, std::int64_t past) {
  // The first frames of a clip see one another's past alone, the others a whole window.
  const auto length = frames - past, opening = std::min(length, config.n_window);
  const auto looks = config.bidirectional
                         ? frames * frames
                         : opening * (opening + 1) / 2 + (length - opening) * config.n_window;
  return 3 * (real(frames) * layers_flop(config) - real(past) * last_flop(config) +
              real(past > 0 ? 2 * config.n_blocks - 1 : config.n_blocks) * real(looks) * look_flop(config));
}

}  // namespace model
