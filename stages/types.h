// types: the nouns that flow along the edges.
//
//   B clips in a batch     T frames in a clip      P patches in a frame    D numbers in a patch
//   C colours, H x W       S players dreamed in one batch
//
// Actions are int64: 0 none (unconditional), 1 stay, 2 up, 3 down; frame i is conditioned on the action taken
// at frame i-1. Noise levels t are in [0,1]: 0 is data, 1 is noise. Tensors are never written once sent.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stages/model/train_state.h"
#include "stages/pong/renderer.h"

namespace stages {

// --- data ----------------------------------------------------------------------------------------------------

// A stretch of play as it was recorded, the unit of datasets.
struct Episode {
  at::Tensor frames;  // [T,H,W,C] uint8
  at::Tensor action;  // [T] in a dataset's numbers: 0 stay, 1 up, 2 down; action k leads to frame k+1
  at::Tensor reward;  // [T] float32, of the step that action k is
};

// How bytes become the network's numbers, see data/pixels.h. It comes from the `model:` block.
enum class Background : std::uint8_t { linear, zero, last = zero };

struct Clip {
  at::Tensor frames;  // [B,T,C,H,W] float32 in [-1,1]
  at::Tensor action;  // [B,T]
  Background background = Background::linear;
};

// Clips that no training ever sees. A type of its own, so that no edge can lead them there.
struct HeldOut {
  Clip clips;
};

struct Patches {
  at::Tensor x;                                        // [B,T,P,D] float32
  at::Tensor action;                                   // [B,T]
  std::int64_t height = 0, width = 0, patch_size = 0;  // pixels
  Background background = Background::linear;
};

// --- training ------------------------------------------------------------------------------------------------

struct NoisyPatches {
  at::Tensor x_t;         // [B,T,P,D] = (1 - t) x0 + t z
  at::Tensor v;           // [B,T,P,D] = x0 - z
  at::Tensor t;           // [B,T]
  at::Tensor action;      // [B,T]
  std::int64_t past = 0;  // 0, or T/2: the first frames are the past of the others, see Mmdit::forward
};

struct Weights {
  model::Parameters parameters;
};

struct Gradients {
  std::vector<at::Tensor> of;  // d loss / d parameter, in the order of Weights
  double loss = 0;             // mean over the batch
  std::int64_t frames = 0;     // that were learned from
};

// All that training continues from, as of one step.
struct Snapshot {
  std::shared_ptr<const model::TrainState> state;
  std::optional<double> val_loss;  // on held-out clips, the mean over levels, where it was measured
};

// The loss where every frame that is predicted is at one level.
struct LevelLoss {
  double level = 0, loss = 0;
};

struct Report {
  std::int64_t step = 0;  // counts from 1
  double loss = 0;
  double lr_muon = 0, lr_adam = 0;  // adamw has the latter alone
  double grad_norm = 0;             // before clipping
  std::int64_t frames = 0;
  double progress = 0;                 // of the run, 0…1
  std::vector<LevelLoss> val_loss_at;  // on held-out clips; empty where it was not measured
};

// --- play ----------------------------------------------------------------------------------------------------

// It is time for the next frame.
struct Tick {
  std::uint64_t skipped = 0;  // ticks that came and went while the frame before was not ready
};

// What a player wants from now on. A player is known by the number of a session; 0 is who sits at this machine.
struct Action {
  enum class Kind : std::uint8_t { act, restart, pause, leave, last = leave };  // pause: all, and on again
  std::int64_t action = 1;                                                      // of act
  Kind kind = Kind::act;
  std::int64_t session = 0;     // a restart of one that is not known lets it in
  std::int64_t act = 0;         // of act: what its sender calls it
  std::int64_t arrived_ns = 0;  // of act: when it came here, in nanoseconds since 1970
  std::int64_t game = -1;       // of restart: which game begins; -1: the player's next
};

// A game that begins. The frames before it, n from 0 up, are what the network remembers of it at first.
struct Start {
  std::int64_t session = 0;
  std::uint64_t game = 0;  // the same begins with the same frames
  at::Tensor frames;       // [n,H,W,C] uint8; undefined: none
  at::Tensor action;       // [n], the actions that led to them
};

// Whose row it is, and which Action it answers to.
struct Player {
  std::int64_t session = 0;
  std::int64_t act = 0;
  std::int64_t arrived_ns = 0;
};

// What every player does in this frame.
struct Turn {
  at::Tensor action;            // [S]
  std::vector<Start> starts;    // of those whose game begins with this frame
  std::vector<Player> players;  // [S]; empty: row s is session s
  std::uint64_t number = 0;     // of the tick: the frame's noise is a function of it
};

struct Frame {
  at::Tensor pixels;            // [S,H,W,C] uint8
  at::Tensor action;            // [S], the actions that led to it
  std::vector<Player> players;  // [S]; empty: row s is session s
  std::uint64_t number = 0;     // of the tick
};

// What one player sees of a Frame; in this form it goes to other programs.
struct View {
  at::Tensor pixels;  // [H,W,C] uint8
  std::uint64_t number = 0;
  std::int64_t session = 0, action = 0, act = 0, arrived_ns = 0;
};

// --- measuring -----------------------------------------------------------------------------------------------

// What the simulator shows where a model dreams the Frame of the same number, under the same actions: of the players in
// the Frame's first rows. The rows beyond are free.
struct Truth {
  at::Tensor pixels;                    // [N,H,W,C] uint8, N <= S
  at::Tensor last;                      // [N,H,W,C] uint8, the last frame that the network was shown
  std::vector<pong::StepResult> steps;  // [N], what happened on the way to this frame
  pong::Rendering rendering = pong::Rendering::area;
};

// --- taps ----------------------------------------------------------------------------------------------------

// An edge that can be watched.
struct Tap {
  std::string topic, edge;
};

// What there is to hear at an endpoint.
struct Hello {
  std::vector<Tap> taps;
  at::Tensor pipeline;  // [n] uint8: merged YAML in UTF-8, with live values as they are
};

// No message follows under this topic.
struct End {};

}  // namespace stages
