// display: whether a window can be shown here.
#pragma once

namespace stages {

/// Whether an X server answers at $DISPLAY. Debian's OpenCV draws through Qt on X11 alone (a Wayland desktop
/// answers through XWayland), and Qt ends the process where there is none.
bool has_display();

}  // namespace stages
