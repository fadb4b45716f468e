// window: shows the game and reads the keys.
//
//   keys        act while held (the map is a parameter); nothing held is "stay"
//   1 … 9       guidance        [ ]  one step fewer, more     r  a new game     space  pause
//   q, Esc, closing the window  end
//
// Guidance and steps are live parameters of the stage that `controls` names. Pixels stay square and sharp: they
// are scaled by a whole number to what fits into the window. Of several held keys the one pressed last counts.
#include <spdlog/spdlog.h>

#include <chrono>
#include <deque>
#include <map>
#include <opencv2/highgui.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <string_view>

#include "graph/stage.h"
#include "stages/play/actions.h"
#include "stages/play/image.h"
#include "stages/play/keyboard.h"
#include "stages/play/rows.h"
#include "stages/types.h"

namespace stages {
namespace {

struct Window {
  struct Params {
    std::string title = "worldline";
    int scale = 20;
    std::string controls;
    std::int64_t session = -1;
    std::map<std::string, std::string> keys{{"Up", "up"}, {"w", "up"}, {"Down", "down"}, {"s", "down"}};
  };
  using Time = std::chrono::steady_clock;
  struct Key {
    int symbol;
    std::int64_t action;
  };

  void start(const graph::Context& context) {
    for (const auto& [name, action] : params.keys) {
      keys.push_back({key_symbol(name), action_of(action)});
      if (own_keys.find(name) != std::string_view::npos)
        throw graph::Error("keys: '" + name + "' is the window's own; choose another");
    }
    if (!params.controls.empty())
      for (const auto* parameter : {"guidance", "steps"}) control(context, parameter);
    // Comes before OpenCV: Qt ends the whole process where there is no display.
    keyboard.emplace();
    cv::namedWindow(params.title, cv::WINDOW_NORMAL | cv::WINDOW_FREERATIO | cv::WINDOW_GUI_NORMAL);
  }

  void operator()(const Frame& frame, const graph::Context& context) {
    shown.push_back(Time::now());
    while (shown.back() - shown.front() > std::chrono::seconds(1)) shown.pop_front();
    newest = params.session < 0 ? frame : of_session(frame, params.session);
    if (!closed()) draw(context);  // showing it would open another window
  }

  std::optional<Action> idle(const graph::Context& context) {
    const int key = pressed_symbol(cv::waitKeyEx(1));
    if (key == 'q' || key == escape || closed()) {
      context.stop();
      return std::nullopt;
    }
    if (!params.controls.empty()) {
      if (key >= '1' && key <= '9') set(context, "guidance", key - '0');
      if (key == '[' || key == ']')
        set(context, "steps", std::stoi(control(context, "steps")) + (key == ']' ? 1 : -1));
    }
    if (key == 'r') {
      paused = false;
      return Action{.kind = Action::Kind::restart};
    }
    if (key == ' ') {
      paused = !paused;
      draw(context);
      return Action{.kind = Action::Kind::pause};
    }
    return held_action(key);
  }

  bool closed() const { return cv::getWindowProperty(params.title, cv::WND_PROP_VISIBLE) < 1; }

  void finish() { cv::destroyAllWindows(); }

  // What the held keys mean, when that has changed.
  std::optional<Action> held_action(int pressed) {
    for (const auto& each : keys)
      if (each.symbol == pressed && std::ranges::find(held, each.symbol, &Key::symbol) == held.end()) {
        held.push_back(each);
        acting = each.action;
        return Action{each.action};
      }
    std::erase_if(held, [&](const Key& each) { return !keyboard->is_down(each.symbol); });
    const auto now = held.empty() ? stay : held.back().action;
    return std::exchange(acting, now) == now ? std::nullopt : std::optional(Action{now});
  }

  void draw(const graph::Context& context) {
    if (!newest) return;
    auto area = cv::getWindowImageRect(params.title).size();
    if (!sized) {
      const auto whole = to_image(*newest, params.scale).size();
      area = {whole.width, whole.height + strip};
      cv::resizeWindow(params.title, area.width, area.height);
      sized = true;
    }
    const auto small = to_image(*newest, 1).size();
    const int scale = std::max(1, std::min(area.width / small.width, (area.height - strip) / small.height));
    const auto game = to_image(*newest, scale);
    cv::Mat canvas(std::max(area.height, game.rows + strip), std::max(area.width, game.cols), CV_8UC3,
                   cv::Scalar::all(16));
    const cv::Point corner((canvas.cols - game.cols) / 2, (canvas.rows - strip - game.rows) / 2);
    game.copyTo(canvas(cv::Rect(corner, game.size())));
    cv::putText(canvas, status(context), {8, canvas.rows - 8}, cv::FONT_HERSHEY_SIMPLEX, 0.45,
                cv::Scalar::all(200), 1, cv::LINE_AA);
    cv::imshow(params.title, canvas);
  }

  std::string status(const graph::Context& context) const {
    auto text = paused ? "paused" : action_name(newest->action[0].item<std::int64_t>());
    text += fmt::format("   {} fps", shown.size() - 1);
    if (!params.controls.empty())
      text +=
          fmt::format("   guidance {}   steps {}", control(context, "guidance"), control(context, "steps"));
    return text;
  }

  std::string control(const graph::Context& context, const std::string& parameter) const {
    return context.run->get(params.controls, parameter);
  }

  void set(const graph::Context& context, const std::string& parameter, int value) {
    try {
      context.run->set(params.controls, parameter, std::to_string(value));
      spdlog::info("{} of {} is now {}", parameter, params.controls, value);
    } catch (const graph::Error& error) {
      spdlog::warn(error.what());  // out of range, which ends no game
    }
    draw(context);  // a paused game shows it too
  }

  static constexpr std::string_view own_keys = "123456789[]rq";
  static constexpr int escape = 27, strip = 24;
  static constexpr std::int64_t stay = 1;

  Params params;
  std::vector<Key> keys, held;  // held: in the order of the presses
  std::optional<Keyboard> keyboard;
  std::optional<Frame> newest;
  std::deque<Time::time_point> shown;  // frames of the last second
  std::int64_t acting = stay;
  bool sized = false, paused = false;
};

using P = Window::Params;
const bool registered =
    graph::Stage<Window>("window")
        .summary("show the game and read the keys")
        .in("frame", "pixels [S,H,W,C] uint8")
        .out("action", "what the player wants from now on")
        .param("title", &P::title, "of the window")
        .param("scale", &P::scale, "screen pixels for one of the frame, at first", graph::between(1, 100))
        .param("controls", &P::controls, "the stage whose guidance and steps the keys change; empty: none")
        .param("session", &P::session, "of the player who is shown; -1: all, side by side")
        .param("keys", &P::keys, "what each key does while it is held: stay, up, down or a number")
        .on(graph::Executor::main)
        .add();

}  // namespace
}  // namespace stages
