// window: shows the game and reads the keys.
//
// Arrow keys or w and s move, q, Esc or closing the window ends the run. Of a held key OpenCV reports nothing
// but the presses that the keyboard repeats, so a press counts until `hold` seconds pass without another.
#include <spdlog/spdlog.h>

#include <chrono>
#include <opencv2/highgui.hpp>
#include <optional>

#include "graph/stage.h"
#include "stages/play/display.h"
#include "stages/play/image.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Window {
  struct Params {
    std::string title = "worldline";
    int scale = 20;
    double hold = 0.6;
  };
  using Time = std::chrono::steady_clock;

  void start() {
    // Qt ends the whole process where there is no display, so it must not be asked.
    graph::require(has_display(), "no X display answers (DISPLAY); run with --headless for a video file");
    cv::namedWindow(params.title, cv::WINDOW_NORMAL | cv::WINDOW_KEEPRATIO | cv::WINDOW_GUI_NORMAL);
  }

  void operator()(const Frame& frame) {
    const auto image = to_image(frame, params.scale);
    if (!std::exchange(sized, true)) cv::resizeWindow(params.title, image.cols, image.rows);
    cv::imshow(params.title, image);
  }

  std::optional<Action> idle(const graph::Context& context) {
    const int key = cv::waitKeyEx(1);
    const bool closed = sized && cv::getWindowProperty(params.title, cv::WND_PROP_VISIBLE) < 1;
    if (key == 'q' || key == escape || closed) context.stop();
    const auto now = Time::now();
    if (const auto action = action_of(key)) {
      pressed = now;
      return std::exchange(held, *action) == *action ? std::nullopt : std::optional(Action{*action});
    }
    if (held != stay && std::chrono::duration<double>(now - pressed).count() > params.hold) {
      held = stay;
      return Action{stay};
    }
    return std::nullopt;
  }

  void finish() { cv::destroyAllWindows(); }

  static std::optional<std::int64_t> action_of(int key) {
    if (key == 'w' || key == x11_up) return up;
    if (key == 's' || key == x11_down) return down;
    return std::nullopt;
  }

  static constexpr int escape = 27, x11_up = 0xff52, x11_down = 0xff54;
  static constexpr std::int64_t stay = 1, up = 2, down = 3;

  Params params;
  bool sized = false;
  std::int64_t held = stay;
  Time::time_point pressed;
};

using P = Window::Params;
const bool registered =
    graph::Stage<Window>("window")
        .summary("show the game and read the keys")
        .in("frame", "pixels [S,H,W,C] uint8")
        .out("action", "what the player presses from now on")
        .param("title", &P::title, "of the window")
        .param("scale", &P::scale, "screen pixels for one of the frame", graph::between(1, 100))
        .param("hold", &P::hold, "how long a press counts without another", graph::at_least(0))
        .unit("s")
        .on(graph::Executor::main)
        .add();

}  // namespace
}  // namespace stages
