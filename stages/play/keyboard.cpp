// keyboard: xcb's keymap requests.
#include "stages/play/keyboard.h"

#include <xcb/xcb.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "graph/error.h"

namespace stages {
namespace {

template <class Reply>
using Owned = std::unique_ptr<Reply, decltype(&std::free)>;

template <class Reply>
Owned<Reply> own(Reply* reply) {
  return {reply, &std::free};
}

// X11 has the printable ASCII characters at their own codes. Source: X11/keysymdef.h
const std::map<std::string, int> named{{"Up", 0xff52},       {"Down", 0xff54},   {"Left", 0xff51},
                                       {"Right", 0xff53},    {"Return", 0xff0d}, {"Tab", 0xff09},
                                       {"BackSpace", 0xff08}};

}  // namespace

int key_symbol(const std::string& name) {
  if (name.size() == 1 && name[0] > ' ' && name[0] <= '~') return pressed_symbol(name[0]);
  if (const auto found = named.find(name); found != named.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& each : named) names.push_back(each.first);
  throw graph::Error("unknown key '" + name + "'; expected a character or " + graph::join(names, " | "));
}

int pressed_symbol(int key) {
  if (key >= 'A' && key <= 'Z') return key - 'A' + 'a';
  if (key == '\r' || key == '\n') return 0xff0d;
  return key == '\t' || key == '\b' ? 0xff00 + key : key;
}

Keyboard::Keyboard() : connection_(xcb_connect(nullptr, nullptr), xcb_disconnect) {
  auto* connection = connection_.get();
  graph::require(xcb_connection_has_error(connection) == 0,
                 "no X display answers (DISPLAY); run with --headless for a video file");
  const auto* setup = xcb_get_setup(connection);
  const auto first = setup->min_keycode;
  const auto count = static_cast<std::uint8_t>(setup->max_keycode - first + 1);
  const auto reply = own(xcb_get_keyboard_mapping_reply(
      connection, xcb_get_keyboard_mapping(connection, first, count), nullptr));
  if (!reply) throw graph::Error("the X server does not tell its keyboard");
  symbols_.resize(static_cast<std::size_t>(first));
  const auto* symbols = xcb_get_keyboard_mapping_keysyms(reply.get());
  for (int key = 0; key < count; ++key, symbols += reply->keysyms_per_keycode)
    symbols_.emplace_back(symbols, symbols + reply->keysyms_per_keycode);
}

bool Keyboard::is_down(int symbol) const {
  const auto reply =
      own(xcb_query_keymap_reply(connection_.get(), xcb_query_keymap(connection_.get()), nullptr));
  if (!reply) return false;
  for (std::size_t key = 0; key < symbols_.size(); ++key)
    if ((reply->keys[key / 8] >> (key % 8) & 1) != 0 &&
        std::ranges::find(symbols_[key], static_cast<std::uint32_t>(symbol)) != symbols_[key].end())
      return true;
  return false;
}

}  // namespace stages
