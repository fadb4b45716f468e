// window_test: a person at the window, played by xdotool, and what the game was told.
#include <gtest/gtest.h>
#include <xcb/xcb.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <thread>

#include "stages/debug/recording.h"
#include "stages/types.h"
#include "tests/folder.h"
#include "tests/pipelines/process.h"

namespace {

using namespace std::chrono_literals;
using tests::Folder;
using tests::Process;
using tests::run;

#define TITLE "worldline-window-test"

bool xdotool(const std::string& command) {
  std::string line("timeout 20 xdotool search --sync --onlyvisible --name " TITLE " windowfocus --sync ");
  return std::system(line.append(command).c_str()) == 0;
}

// A game in a window, with what `players` says recorded. Slow (`tools/test --all`): real keys at real times.
class WindowSlow : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::getenv("DISPLAY")) GTEST_SKIP() << "no display; tools/test brings one";
    if (std::system("command -v xdotool >/dev/null") != 0) GTEST_SKIP() << "no xdotool";
    const std::string runs = folder.string(), model = (folder / "t").string(),
                      extra = (folder / "turns.yaml").string();
    ASSERT_EQ(run({"pipelines/train.yaml", "configs/test-tiny.yaml", "--runs", runs, "--name", "t", "--set",
                   "stop.steps=2"})
                  .code,
              0);
    std::ofstream(extra) << "stages:\n  turns: {type: record, from: players}\n";
    const std::string checkpoint = "denoise.checkpoint=" + model, named = "window.title=" TITLE;
    std::vector<std::string> arguments{
        "pipelines/play.yaml", extra, "--runs", runs, "--name", "p", "--set", checkpoint, "--set", named};
    game.emplace(std::move(arguments));
    ASSERT_TRUE(game->printed("playing")) << game->output();
    ASSERT_TRUE(xdotool("")) << game->output();
    std::this_thread::sleep_for(500ms);
  }

  struct Said {
    std::int64_t action;
    bool begins;
    double seconds;
  };
  std::vector<Said> said() const {
    stages::RecordingReader reader(folder / "p/turns.rec");
    std::vector<Said> all;
    while (const auto message = reader.next()) {
      const auto& turn = message->body.as<stages::Turn>();
      all.push_back({turn.action.item<std::int64_t>(), !turn.starts.empty(),
                     static_cast<double>(message->nanoseconds) * 1e-9});
    }
    return all;
  }

  Folder folder;
  std::optional<Process> game;
};

TEST_F(WindowSlow, KeysActWhileTheyAreHeld) {
  ASSERT_TRUE(xdotool(
      "keydown Up sleep 0.9 keyup Up sleep 0.8 keydown s sleep 0.3 keyup s sleep 0.8 key w sleep 0.3"));
  ASSERT_TRUE(xdotool("key q"));
  ASSERT_EQ(game->wait(10s), 0) << game->output();
  // Runs of one action, with their lengths in seconds.
  std::vector<std::pair<std::int64_t, double>> runs;
  const auto all = said();
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    if (runs.empty() || runs.back().first != all[i].action) runs.emplace_back(all[i].action, 0);
    runs.back().second += all[i + 1].seconds - all[i].seconds;
  }
  std::vector<std::int64_t> order;
  for (const auto& each : runs) order.push_back(each.first);
  ASSERT_EQ(order, (std::vector<std::int64_t>{1, 2, 1, 3, 1, 2, 1}));
  // The keyboard's own repeats begin after half a second or more: a gap would have made two runs of one.
  // The bounds are wide for a machine that runs other tests meanwhile.
  EXPECT_GT(runs[1].second, 0.6);
  EXPECT_LT(runs[1].second, 1.6);
  EXPECT_LT(runs[3].second, 0.9);
  EXPECT_LT(runs[5].second, 0.5) << "a tap";
}

TEST_F(WindowSlow, RestartPauseGuidanceAndSteps) {
  ASSERT_TRUE(xdotool(
      "key r sleep 0.3 key space sleep 0.8 key space sleep 0.3 key 3 sleep 0.1 key bracketright sleep 0.3"));
  ASSERT_TRUE(xdotool("key Escape"));
  ASSERT_EQ(game->wait(10s), 0) << game->output();
  EXPECT_NE(game->output().find("guidance of denoise is now 3"), std::string::npos) << game->output();
  EXPECT_NE(game->output().find("steps of denoise is now 2"), std::string::npos) << game->output();
  const auto all = said();
  EXPECT_EQ(std::ranges::count_if(all, &Said::begins), 2);
  EXPECT_TRUE(all.front().begins);
  double longest = 0;
  for (std::size_t i = 1; i < all.size(); ++i)
    longest = std::max(longest, all[i].seconds - all[i - 1].seconds);
  EXPECT_GT(longest, 0.6) << "the pause";
}

// As a window manager does it: by a message that asks the window to close.
void ask_to_close() {
  std::unique_ptr<FILE, int (*)(FILE*)> search(popen("xdotool search --name " TITLE, "r"), pclose);
  unsigned window = 0;
  ASSERT_EQ(std::fscanf(search.get(), "%u", &window), 1);
  auto* connection = xcb_connect(nullptr, nullptr);
  const auto atom = [&](const char* name) {
    auto* reply = xcb_intern_atom_reply(
        connection, xcb_intern_atom(connection, 0, static_cast<std::uint16_t>(std::strlen(name)), name),
        nullptr);
    const auto number = reply->atom;
    std::free(reply);
    return number;
  };
  xcb_client_message_event_t event{};
  event.response_type = XCB_CLIENT_MESSAGE;
  event.format = 32;
  event.window = window;
  event.type = atom("WM_PROTOCOLS");
  event.data.data32[0] = atom("WM_DELETE_WINDOW");
  xcb_send_event(connection, 0, window, XCB_EVENT_MASK_NO_EVENT, reinterpret_cast<const char*>(&event));
  xcb_flush(connection);
  xcb_disconnect(connection);
}

TEST_F(WindowSlow, ClosingItEndsTheGame) {
  ASSERT_TRUE(xdotool("sleep 1"));  // a game under way
  ask_to_close();
  EXPECT_EQ(game->wait(10s), 0) << game->output();
  EXPECT_GT(said().size(), 3u);
}

}  // namespace
