// keyboard: which keys are down, asked of the X server.
//
// OpenCV reports presses alone, and of a held key what the keyboard repeats: nothing for half a second, then a
// burst. So it is asked only for what was pressed in its window, and the server for when that is let go.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct xcb_connection_t;

namespace stages {

/// The X11 key symbol of "w", "5", "Up", "Down", "Left", "Right", "Return", "Tab" or "BackSpace"; capitals are their
/// small letters. Throws graph::Error for other words.
int key_symbol(const std::string& name);

/// The symbol of what cv::waitKeyEx() returned: some keys come as their ASCII codes. -1 for none.
int pressed_symbol(int key);

/// One thread. Connects to $DISPLAY.
class Keyboard {
 public:
  /// Throws graph::Error when no X server answers.
  Keyboard();

  /// Whether a key with this symbol is down now. One round trip to the server.
  bool is_down(int symbol) const;

 private:
  std::shared_ptr<xcb_connection_t> connection_;
  std::vector<std::vector<std::uint32_t>> symbols_;  // by key code
};

}  // namespace stages
