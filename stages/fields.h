// fields: the parts of every noun that can travel, each named once.
//
// Packing, unpacking and the stages that look into a noun all walk through these functions. They take the noun
// apart by structured binding, so a member that is new in types.h does not compile until it is named here.
#pragma once

#include <tuple>

#include "stages/types.h"

namespace stages {

/// The nouns that travel. Weights, gradients and snapshots do not, as checkpoints are their files; nor do
/// held-out clips and truths, which follow from a seed.
using Nouns =
    std::tuple<Episode, Clip, Patches, NoisyPatches, Report, Tick, Action, Turn, Frame, View, Hello, End>;

// part(name, member) is called for each member in turn and gives `part` back. Names are part of files and
// messages that other programs read.

void fields(Episode& episode, auto& part) {
  auto& [frames, action, reward] = episode;
  part("frames", frames)("action", action)("reward", reward);
}

void fields(Clip& clip, auto& part) {
  auto& [frames, action, background] = clip;
  part("frames", frames)("action", action)("background", background);
}

void fields(Patches& patches, auto& part) {
  auto& [x, action, height, width, patch_size, background] = patches;
  part("x", x)("action", action)("height", height)("width", width)("patch_size", patch_size);
  part("background", background);
}

void fields(NoisyPatches& noisy, auto& part) {
  auto& [x_t, v, t, action, past] = noisy;
  part("x_t", x_t)("v", v)("t", t)("action", action)("past", past);
}

void fields(LevelLoss& measured, auto& part) {
  auto& [level, loss] = measured;
  part("level", level)("loss", loss);
}

void fields(Report& report, auto& part) {
  auto& [step, loss, lr_muon, lr_adam, grad_norm, frames, progress, val_loss_at] = report;
  part("step", step)("loss", loss)("lr_muon", lr_muon)("lr_adam", lr_adam);
  part("grad_norm", grad_norm)("frames", frames)("progress", progress);
  part("val_loss_at", val_loss_at);
}

void fields(Tick& tick, auto& part) {
  auto& [skipped] = tick;
  part("skipped", skipped);
}

void fields(Action& pressed, auto& part) {
  auto& [action, kind, session, act, arrived_ns, game] = pressed;
  part("action", action)("kind", kind)("session", session)("act", act)("arrived_ns", arrived_ns)("game",
                                                                                                 game);
}

void fields(Start& start, auto& part) {
  auto& [session, game, frames, action] = start;
  part("session", session)("game", game)("frames", frames)("action", action);
}

void fields(Player& player, auto& part) {
  auto& [session, act, arrived_ns] = player;
  part("session", session)("act", act)("arrived_ns", arrived_ns);
}

void fields(Turn& turn, auto& part) {
  auto& [action, starts, players, number] = turn;
  part("action", action)("starts", starts)("players", players)("number", number);
}

void fields(Frame& frame, auto& part) {
  auto& [pixels, action, players, number] = frame;
  part("pixels", pixels)("action", action)("players", players)("number", number);
}

void fields(View& view, auto& part) {
  auto& [pixels, number, session, action, act, arrived_ns] = view;
  part("pixels", pixels)("number", number)("session", session)("action", action);
  part("act", act)("arrived_ns", arrived_ns);
}

void fields(Tap& tap, auto& part) {
  auto& [topic, edge] = tap;
  part("topic", topic)("edge", edge);
}

void fields(Hello& hello, auto& part) {
  auto& [taps, pipeline] = hello;
  part("taps", taps)("pipeline", pipeline);
}

void fields(End&, auto&) {}

}  // namespace stages
