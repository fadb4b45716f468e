// flops: how much arithmetic a network asks for, counted from its sizes.
//
// Counted is what matrix products and convolutions take: a multiplication and an addition for every weight that a
// number meets, and in attention for every key and value that a token may see, d numbers each. A frame of N tokens
// and P patches, with V frames in view, its own included, takes
//
//   a block    N (8 + 6e) d² for its layers, 4 N² V d for attention, 12 d² for its modulation
//   the stem   linear: 2 P D d;  conv: 25 H W d (C + d/2), then P p² d²
//   the rest   6 d² for conditions, 2 P D d for the output
//
// where d = d_model, e = expansion, p = patch_size, D = p² C numbers a patch, H x W pixels of C colours. A backward
// pass counts as twice a forward pass: for each product one by its weights and one by its input. That of frames and
// noise levels, which nobody wants a gradient of, is counted and not done: of bench-small 0.65 %, of seed 0.15 %. Norms,
// rotary positions and activations are left out, as everywhere where a share of a machine's peak is told.
//
// Source: Kaplan et al. 2020 arXiv:2001.08361, section 2.1 (the convention)
#pragma once

#include <cstdint>

#include "stages/model/config.h"

namespace model {

// One evaluation of one frame for one player, with n_window frames in view.
double play_flop(const Config& config);

// Forward and backward of one clip. Of attention only what the mask leaves counts: frame i sees min(i, n_window)
// frames, or, where the network is bidirectional, all of them. With a past `frames` is twice that, as in
// Mmdit::forward: the past takes what the others do, but for the last block's attention and what comes behind it.
double train_flop(const Config& config, std::int64_t frames, std::int64_t past = 0);

}  // namespace model
