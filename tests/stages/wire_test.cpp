// wire_test: endpoints, messages, taps, commands and keys, in one process.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <torch/types.h>

#include <atomic>
#include <fstream>
#include <future>
#include <thread>
#include <zmq.hpp>

#include "graph/engine.h"
#include "stages/wire/client.h"
#include "stages/wire/message.h"
#include "stages/wire/picture.h"
#include "stages/wire/publisher.h"
#include "stages/wire/sessions.h"
#include "stages/wire/subscription.h"
#include "tests/complaint.h"
#include "tests/harness.h"
#include "tests/stages/run_stub.h"

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using graph::Any;
using Json = nlohmann::json;
using stages::Client;
using stages::Frame;
using stages::View;
using stages::WireMessage;
using tests::complaint;
using tests::expect_in;
using tests::Harness;
using tests::RunStub;

// --- messages --------------------------------------------------------------------------------------------------

WireMessage message_of(const Any& body) {
  return {.topic = "frames/3", .run_id = "a", .seq = 7, .t_ns = 9, .noun = stages::pack(body)};
}

Any view(int shade) { return Any::of(View{torch::full({2, 2, 3}, shade, torch::kByte), 1, 3, 2, 5, 6}); }

TEST(Message, ComesBackAsItWent) {
  const auto sent = message_of(view(4));
  const auto bytes = stages::encode(sent);
  EXPECT_EQ(bytes.substr(0, 10), std::string("frames/3\0\1", 10));
  const auto came = stages::decode(bytes);
  EXPECT_EQ(came.topic, "frames/3");
  EXPECT_EQ(came.run_id, "a");
  EXPECT_EQ(came.seq, 7u);
  EXPECT_EQ(came.t_ns, 9u);
  EXPECT_EQ(came.noun.type, "View");
  EXPECT_EQ(came.noun.payload, std::string(12, '\4'));
  EXPECT_EQ(stages::unpack("View", came.noun.fields, came.noun.payload).as<View>().act, 5);
}

TEST(Message, CutAnywhereIsRefused) {
  const auto bytes = stages::encode(message_of(Any::of(stages::Tick{3})));
  EXPECT_EQ(complaint([&] { stages::decode(bytes); }), "");
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_NE(complaint([&] { stages::decode(bytes.substr(0, size)); }), "") << size;
}

TEST(Message, OfAnotherVersionOrFormIsRefused) {
  auto bytes = stages::encode(message_of(Any::of(stages::Tick{3})));
  bytes[9] = 2;
  expect_in(complaint([&] { stages::decode(bytes); }), "another version");
  expect_in(complaint([] { stages::decode(std::string(300, 'x')); }), "without the end of a topic");
  const auto with_header = [](std::string header) {
    return std::string("t\0\1", 3) + static_cast<char>(header.size()) + std::string(1, '\0') + header;
  };
  expect_in(complaint([&] { stages::decode(with_header("\x81\xa3seq\xff")); }), "wrong type");
  expect_in(complaint([&] { stages::decode(with_header("\x93\1\2\3")); }), "not one map");
  expect_in(complaint([&] { stages::decode(with_header("\x80\x80")); }), "not one map");
  expect_in(complaint([&] { stages::decode(with_header(std::string(9, '\x91') + "\xc0")); }), "no msgpack");
  expect_in(complaint([&] {
              stages::decode(
                  with_header("\x81\xa4type\xa3"
                              "End"));
            }),
            "lacks type or fields");
  // A key that is not known here is another version's business.
  EXPECT_EQ(complaint([&] {
              stages::decode(
                  with_header("\x83\xa4type\xa3"
                              "End\xa6"
                              "fields\x80\xa3new\xc3"));
            }),
            "");
}

// --- pictures --------------------------------------------------------------------------------------------------

TEST(Picture, ComesBackWithOneColourOrThree) {
  for (const int C : {1, 3}) {
    const auto pixels = torch::arange(4 * 6 * C, torch::kByte).reshape({4, 6, C});
    const std::string bytes(pixels.data_ptr<std::uint8_t>(), pixels.data_ptr<std::uint8_t>() + 4 * 6 * C);
    EXPECT_EQ(stages::from_picture(stages::to_picture(pixels, "png"), "png"), bytes);
    EXPECT_EQ(stages::from_picture(stages::to_picture(pixels, "jpeg"), "jpeg").size(), bytes.size());
  }
  expect_in(complaint([] {
              stages::to_picture(torch::zeros({1, 70'000, 3}, torch::kByte), "jpeg");
            }),
            "do not fit into a picture");
}

TEST(Picture, IsRefusedByWhatItSaysOfItsSize) {
  const auto why = [](const std::string& file, const std::string& encoding) {
    return complaint([&] { stages::from_picture(file, encoding); });
  };
  // 30,000 x 30,000
  const std::string png("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x75\x30\0\0\x75\x30\x08\2\0\0\0", 29);
  const std::string frame("\xff\xc0\0\x11\x08\x75\x30\x75\x30\3", 10),
      small("\xff\xc0\0\x11\x08\0\1\0\1\3", 10);
  expect_in(why(png, "png"), "more pixels than a message may have");
  expect_in(why("\xff\xd8" + frame, "jpeg"), "more pixels than a message may have");
  // Behind a segment of four bytes; and where another reader would see a smaller one first.
  expect_in(why("\xff\xd8" + std::string("\xff\xe0\0\4ab", 6) + frame, "jpeg"), "more pixels");
  expect_in(why("\xff\xd8" + std::string("\xff\1\0\2", 4) + small + frame, "jpeg"), "cannot be read");
  for (const std::string& other :
       {std::string(), png.substr(0, 20), std::string("BM6"), std::string("\xff\xd8", 2)})
    for (const auto* encoding : {"png", "jpeg"}) expect_in(why(other, encoding), "cannot be read");
  expect_in(why(png, "jpeg"), "cannot be read");
  expect_in(why(png, "webp"), "not known here");
}

// --- endpoints -------------------------------------------------------------------------------------------------

class Wire : public testing::Test {
 protected:
  Wire() { run.edges = {{"game.frame", "tap.messages", {}, {}}}; }

  std::string endpoint(const std::string& name = "s") const {
    return "ipc://" + (run.folder() / name).string();
  }

  RunStub run;
};

TEST_F(Wire, OnlyWhereOthersCannotComeIsListenedTo) {
  for (const auto* open :
       {"tcp://*:7000", "tcp://0.0.0.0:7000", "tcp://localhost:7000", "tcp://127.0.0.1.example:7000",
        "tcp://[::1]:7000", "tcp://eth0:7000", "tcp://127.0.0.1:1;0.0.0.0:2"})
    EXPECT_NE(complaint([&] { stages::to_bind(open, false); }), "") << open;
  for (const auto* other :
       {"", "play", "inproc://a", "pgm://a", "ipc://", "ipc://@abstract", "ws://127.0.0.1:1"})
    EXPECT_NE(complaint([&] { stages::to_bind(other, true); }), "") << other;
  EXPECT_EQ(stages::to_bind("tcp://127.0.0.1:0", false), "tcp://127.0.0.1:0");
  EXPECT_EQ(stages::to_bind("tcp://*:7000", true), "tcp://*:7000");
  expect_in(complaint([&] { stages::to_bind(endpoint(std::string(200, 'x')), false); }),
            "choose a shorter one");
}

TEST_F(Wire, AFolderThatOthersMayWriteToIsRefused) {
  const auto folder = run.folder() / "shared";
  fs::create_directory(folder);
  fs::permissions(folder, fs::perms::all);
  expect_in(complaint([&] { stages::to_bind("ipc://" + (folder / "s").string(), false); }),
            "others may write");
  fs::permissions(folder, fs::perms::owner_all);
  EXPECT_EQ(complaint([&] { stages::to_bind("ipc://" + (folder / "s").string(), false); }), "");
  std::ofstream(folder / "s") << "precious";
  expect_in(complaint([&] { stages::to_bind("ipc://" + (folder / "s").string(), false); }), "is no socket");
}

TEST_F(Wire, ASocketIsItsOwnersAlone) {
  fs::permissions(run.folder(), fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
  const auto at = stages::publish_at(endpoint(), {});
  EXPECT_EQ(fs::status(run.folder() / "s").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(Wire, ANameLiesInAPrivateFolder) {
  const auto* old = getenv("XDG_RUNTIME_DIR");
  const std::string before = old ? old : "";
  setenv("XDG_RUNTIME_DIR", run.folder().c_str(), 1);
  // Who comes first makes the folder, so that nobody else can while it waits.
  EXPECT_EQ(stages::to_connect("ipc://game"), "ipc://" + (run.folder() / "worldline/game").string());
  EXPECT_EQ(fs::status(run.folder() / "worldline").permissions(), fs::perms::owner_all);
  EXPECT_EQ(stages::to_bind("ipc://game", false), "ipc://" + (run.folder() / "worldline/game").string());
  fs::remove(run.folder() / "worldline");
  stages::to_bind("ipc://game", false);
  EXPECT_EQ(fs::status(run.folder() / "worldline").permissions(), fs::perms::owner_all);
  if (old)
    setenv("XDG_RUNTIME_DIR", before.c_str(), 1);
  else
    unsetenv("XDG_RUNTIME_DIR");
}

// --- taps ------------------------------------------------------------------------------------------------------

Frame frame(std::vector<std::int64_t> sessions, int shade, std::uint64_t number = 0) {
  Frame made;
  const auto S = static_cast<std::int64_t>(sessions.size());
  made.pixels = torch::full({S, 4, 6, 3}, shade, torch::kByte);
  for (std::int64_t s = 0; s < S; ++s) made.pixels[s][0][0][0] = 10 * s;
  made.action = torch::full({S}, 2, torch::kLong);
  for (const auto session : sessions) made.players.push_back({session, 1, 2});
  made.number = number;
  return made;
}

class Taps : public Wire {
 protected:
  Harness publisher(const std::string& more = "") {
    return Harness("publish", "{endpoint: '" + endpoint() + "', topic: frames" + more + "}", "{}", &run);
  }
  Harness subscriber(const std::string& more = "") {
    return Harness("subscribe", "{endpoint: '" + endpoint() + "', topic: frames" + more + "}");
  }
  // Until what a subscriber wants is known at the other end.
  void wait_for(const std::string& topic, bool heard = true) const {
    const auto at = stages::publish_at(endpoint(), {});
    for (int i = 0; i < 500 && at->is_heard(topic) != heard; ++i) std::this_thread::sleep_for(10ms);
    ASSERT_EQ(at->is_heard(topic), heard);
  }
};

TEST_F(Taps, SendPlayerByPlayerAndSayWhoLeft) {
  auto tap = publisher();
  tap.start();
  auto first = subscriber(", session: 3"), second = subscriber(", session: 5");
  first.start();
  second.start();
  wait_for("frames/3");
  wait_for("frames/5");
  tap.run<>(0, frame({3, 5}, 7, 100));
  tap.run<>(1, frame({5}, 8, 101));
  const auto three = first.run<Any>(0)->as<Frame>(), five = second.run<Any>(0)->as<Frame>();
  EXPECT_EQ(three.players.at(0).session, 3);
  EXPECT_EQ(three.number, 100u);
  EXPECT_EQ(three.action.item<std::int64_t>(), 2);
  EXPECT_EQ(three.pixels[0][0][0][0].item<int>(), 0);
  EXPECT_EQ(five.pixels[0][0][0][0].item<int>(), 10);
  first.run<Any>(1);
  EXPECT_TRUE(first.ended());
  EXPECT_EQ(second.run<Any>(1)->as<Frame>().number, 101u);
  tap.finish();
  second.run<Any>(2);
  EXPECT_TRUE(second.ended());
}

TEST_F(Taps, MakeNothingThatNobodyHears) {
  const auto at = stages::publish_at(endpoint(), {});
  EXPECT_FALSE(at->is_heard("frames"));
  {
    const auto one = stages::subscribe_to(endpoint(), {"fra"}, {});
    wait_for("frames");
    EXPECT_FALSE(at->is_heard("turns"));
  }
  wait_for("frames", false);
  const auto other = stages::subscribe_to(endpoint(), {std::string("frames\0", 7)}, {});
  wait_for("frames");
  EXPECT_FALSE(at->is_heard("frames/0"));
  EXPECT_FALSE(at->is_heard("frame"));
}

TEST_F(Taps, AreHeardThoughOthersCancelWhatTheyNeverAskedFor) {
  const auto reader = stages::subscribe_to(endpoint(), {"frames"}, {});
  const auto at = stages::publish_at(endpoint(), {});
  wait_for("frames");
  zmq::context_t context;
  zmq::socket_t other(context, zmq::socket_type::sub);
  other.set(zmq::sockopt::linger, 0);
  other.set(zmq::sockopt::sndhwm, 1);  // of two prefixes, the second is never sent
  other.set(zmq::sockopt::subscribe, "a");
  other.set(zmq::sockopt::subscribe, "frames");
  other.connect(endpoint());
  wait_for("a");
  zmq::message_t nothing;
  EXPECT_FALSE(other.recv(nothing, zmq::recv_flags::dontwait));
  other.set(zmq::sockopt::unsubscribe, "frames");
  // What comes after it, as often as it takes until there is room for it.
  for (int i = 0; i < 500 && !at->is_heard("b"); ++i) {
    std::this_thread::sleep_for(10ms);
    EXPECT_FALSE(other.recv(nothing, zmq::recv_flags::dontwait));
    other.set(zmq::sockopt::subscribe, "b");
  }
  ASSERT_TRUE(at->is_heard("b"));
  EXPECT_TRUE(at->is_heard("frames"));
  other.close();
  wait_for("b", false);
  EXPECT_TRUE(at->is_heard("frames"));
}

TEST_F(Taps, AreHeardHoweverMuchOthersAskFor) {
  const auto at = stages::publish_at(endpoint(), {});
  zmq::context_t context;
  zmq::socket_t greedy(context, zmq::socket_type::sub);
  greedy.set(zmq::sockopt::linger, 0);
  greedy.set(zmq::sockopt::sndhwm, 0);
  for (int i = 0; i < 5000; ++i) greedy.set(zmq::sockopt::subscribe, "x" + std::to_string(i));
  greedy.connect(endpoint());
  wait_for("frames");
  const auto reader = stages::subscribe_to(endpoint(), {"frames"}, {});
  std::optional<std::string> came;
  for (int i = 0; i < 100 && !came; ++i) {
    at->send(std::string("frames\0\1", 8));
    came = reader->next({}, 50ms);
  }
  EXPECT_TRUE(came);
  greedy.close();
  // Until it is gone.
  for (int i = 0; i < 50; ++i) {
    std::this_thread::sleep_for(10ms);
    ASSERT_TRUE(at->is_heard("frames")) << i;
  }
}

TEST_F(Taps, WhatWasLostBeforeTheFirstIsAGapToo) {
  auto tap = publisher();
  tap.start();
  const auto reader = stages::subscribe_to(endpoint(), {"frames"}, {});
  wait_for("frames");
  run.edges[0].counts.dropped = 2;
  tap.run<>(2, stages::Tick{1});
  const auto bytes = reader->next({}, 5s);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(stages::decode(*bytes).seq, 2u);
}

TEST_F(Taps, WhatWasLostIsCountedAndFiltered) {
  auto tap = publisher();
  tap.start();
  auto sub = subscriber();
  sub.start();
  wait_for("frames/0");
  tap.run<>(0, frame({0}, 1, 0));
  run.edges[0].counts.dropped = 2;  // by the edge into the tap
  tap.run<>(3, frame({0}, 1, 3));
  EXPECT_TRUE(sub.run<Any>(0));
  EXPECT_FALSE(sub.run<Any>(1));
  EXPECT_FALSE(sub.run<Any>(2));
  EXPECT_FALSE(sub.ended());
  EXPECT_EQ(sub.run<Any>(3)->as<Frame>().number, 3u);
}

TEST_F(Taps, APictureIsSmallerAndComesBack) {
  auto tap = publisher(", encoding: png");
  tap.start();
  auto sub = subscriber();
  sub.start();
  wait_for("frames/0");
  const auto sent = frame({0}, 77);
  tap.run<>(0, sent);
  EXPECT_TRUE(sub.run<Any>(0)->as<Frame>().pixels.equal(sent.pixels));
}

TEST_F(Taps, SayWhatThereIs) {
  auto tap = publisher();
  tap.start();
  const auto hello = stages::hello_of(endpoint(), {}, 5s);
  ASSERT_TRUE(hello);
  ASSERT_EQ(hello->taps.size(), 1u);
  EXPECT_EQ(hello->taps[0].topic, "frames");
  EXPECT_EQ(hello->taps[0].edge, "game.frame");
  EXPECT_EQ(stages::pipeline_of(*hello), run.pipeline());
  EXPECT_FALSE(stages::hello_of(endpoint("nobody"), {}, 100ms));
}

// With a live parameter, of which other threads ask.
class ChangingRun : public RunStub {
 public:
  std::string pipeline() const override {
    return "stages:\n  denoise: {steps: " + std::to_string(steps_now) + "}\n";
  }
  std::atomic<int> steps_now{4};
};

TEST_F(Taps, SayAgainWhatHasChanged) {
  ChangingRun changing;
  changing.edges = run.edges;
  Harness tap("publish", "{endpoint: '" + endpoint() + "', topic: frames}", "{}", &changing);
  tap.start();
  const auto hellos = stages::subscribe_to_hello(endpoint(), {});
  for (const int steps : {4, 8}) {
    changing.steps_now = steps;
    const auto hello = stages::next_hello(*hellos, 5s);
    ASSERT_TRUE(hello);
    EXPECT_EQ(stages::pipeline_of(*hello), changing.pipeline());
    EXPECT_FALSE(stages::next_hello(*hellos, 600ms));
  }
  // The last that is said.
  changing.steps_now = 2;
  tap.finish();
  const auto last = stages::next_hello(*hellos, 5s);
  ASSERT_TRUE(last);
  EXPECT_EQ(stages::pipeline_of(*last), changing.pipeline());
}

TEST_F(Taps, OtherTypesGoAsTheyAreAndWhatCannotGoEndsNothing) {
  auto tap = publisher();
  tap.start();
  auto sub = subscriber();
  sub.start();
  wait_for("frames");
  tap.run<>(0, stages::Tick{12});
  tap.run<>(1, stages::Snapshot{});
  tap.run<>(2, stages::Tick{13});
  EXPECT_EQ(sub.run<Any>(0)->as<stages::Tick>().skipped, 12u);
  EXPECT_FALSE(sub.run<Any>(1));
  EXPECT_EQ(sub.run<Any>(2)->as<stages::Tick>().skipped, 13u);
}

TEST_F(Taps, SayWhatThereIsHoweverLongThePipeline) {
  run.text = "# " + std::string(200'000, 'x') + "\nstages: {}\n";
  auto tap = publisher();
  tap.start();
  const auto hello = stages::hello_of(endpoint(), {}, 5s);
  ASSERT_TRUE(hello);
  EXPECT_EQ(stages::pipeline_of(*hello), run.text);
}

// A publisher of its own, which knows no manners.
class Stranger {
 public:
  explicit Stranger(const std::string& endpoint) {
    socket_.set(zmq::sockopt::linger, 1000);
    socket_.bind(endpoint);
  }
  // Until so many prefixes are wanted.
  void wait_for(int prefixes) {
    socket_.set(zmq::sockopt::rcvtimeo, 5000);
    for (zmq::message_t prefix; prefixes > 0; --prefixes) ASSERT_TRUE(socket_.recv(prefix));
  }
  void send(const Any& body, std::uint64_t seq, const std::string& run) {
    const auto bytes =
        stages::encode({.topic = "frames/3", .run_id = run, .seq = seq, .noun = stages::pack(body)});
    socket_.send(zmq::buffer(bytes), zmq::send_flags::none);
  }

 private:
  zmq::context_t context_{1};
  zmq::socket_t socket_{context_, zmq::socket_type::xpub};
};

TEST_F(Taps, WhoseConnectionBreaksFailAfterAllThatCame) {
  auto sub = subscriber();
  sub.start();
  {
    Stranger publisher(endpoint());
    publisher.wait_for(2);
    for (int shade = 0; shade < 100; ++shade)
      publisher.send(view(shade), static_cast<std::uint64_t>(shade), "a");
  }
  for (std::uint64_t number = 0; number < 100; ++number) EXPECT_TRUE(sub.run<Any>(number)) << number;
  const auto why = complaint([&] { sub.run<Any>(100); });
  expect_in(why, endpoint());
  expect_in(why, "the connection broke");
}

TEST_F(Taps, WhoseConnectionBreaksAfterTheirEndHaveEnded) {
  auto sub = subscriber();
  sub.start();
  {
    Stranger publisher(endpoint());
    publisher.wait_for(2);
    publisher.send(view(1), 0, "a");
    publisher.send(Any::of(stages::End{}), 1, "a");
  }
  std::this_thread::sleep_for(1s);
  EXPECT_TRUE(sub.run<Any>(0));
  sub.run<Any>(1);
  EXPECT_TRUE(sub.ended());
}

TEST_F(Taps, OfAnotherRunUnderTheSameNameAreNotTakenForTheFirst) {
  auto sub = subscriber();
  sub.start();
  for (const auto* run_id : {"a", "b"}) {
    Stranger publisher(endpoint());
    publisher.wait_for(2);
    publisher.send(view(1), 0, run_id);
    if (*run_id == 'a') {
      EXPECT_TRUE(sub.run<Any>(0));
    }
  }
  EXPECT_NE(complaint([&] { sub.run<Any>(1); }), "");
}

TEST_F(Taps, AreWaitedForUntilTheyCome) {
  const auto early = stages::subscribe_to(endpoint(), {"frames"}, {});
  EXPECT_FALSE(early->next({}, 600ms));
  EXPECT_FALSE(early->lost());
  {
    Stranger publisher(endpoint());
    publisher.wait_for(1);
    EXPECT_FALSE(early->next({}, 600ms));
    EXPECT_FALSE(early->lost());
  }
  EXPECT_FALSE(early->next({}, 5s));
  EXPECT_TRUE(early->lost());
}

// --- commands --------------------------------------------------------------------------------------------------

class Commands : public Wire {
 protected:
  Harness control(const std::string& more = "") {
    Harness made("control", "{endpoint: '" + endpoint() + "'" + more + "}", "{local: false}", &run);
    made.start();
    return made;
  }
};

TEST_F(Commands, FlowAsActionsAndAreAnswered) {
  auto stage = control();
  Client client(endpoint(), {});
  const auto joined = client.ask({{"do", "join"}, {"seed", 9}});
  const auto session = joined["session"].get<std::int64_t>();
  EXPECT_EQ(joined["topic"], "frames/" + std::to_string(session));
  const auto before = static_cast<std::int64_t>(stages::unix_ns());
  client.ask({{"do", "act"}, {"session", session}, {"action", "down"}});
  client.ask({{"do", "leave"}, {"session", session}});
  const auto actions = {*stage.run<stages::Action>(0)};
  // Who leaves takes back what nobody has taken yet.
  EXPECT_EQ(actions.begin()->kind, stages::Action::Kind::leave);
  const auto second = client.ask({{"do", "join"}})["session"].get<std::int64_t>();
  EXPECT_NE(second, session);
  const auto start = *stage.run<stages::Action>(1);
  EXPECT_EQ(start.kind, stages::Action::Kind::restart);
  EXPECT_EQ(start.session, second);
  client.ask({{"do", "act"}, {"session", second}, {"action", 2}});
  const auto act = *stage.run<stages::Action>(2);
  EXPECT_EQ(act.action, 2);
  EXPECT_GT(act.act, 0);
  EXPECT_GE(act.arrived_ns, before);
}

TEST_F(Commands, ThatAskForWhatIsNotThereAreRefused) {
  auto stage = control(", max_players: 1");
  Client mine(endpoint(), {}), other(endpoint(), {});
  const auto session = mine.ask({{"do", "join"}})["session"].get<std::int64_t>();
  const auto refused = [](Client& client, const Json& command) {
    return complaint([&] { client.ask(command); });
  };
  expect_in(refused(other, {{"do", "join"}}), "full");
  expect_in(refused(other, {{"do", "act"}, {"session", session}, {"action", 2}}), "not this connection's");
  expect_in(refused(mine, {{"do", "act"}, {"session", 0}, {"action", 2}}), "not this connection's");
  expect_in(refused(mine, {{"do", "act"}, {"session", session}, {"action", 4}}), "expected 1 to 3");
  expect_in(refused(mine, {{"do", "act"}, {"session", session}, {"action", "left"}}), "unknown action");
  const std::string longest(60'000, 'x');
  EXPECT_LE(refused(mine, {{"do", "act"}, {"session", session}, {"action", longest}}).size(), 500u);
  expect_in(refused(mine, {{"do", "act"}, {"session", session}}), "'action' is missing");
  expect_in(refused(mine, {{"do", "leave"}, {"session", session}, {"now", true}}), "does not know: 'now'");
  expect_in(refused(mine, {{"do", "fly"}}), "nothing here answers 'fly'");
  expect_in(refused(mine, {{"do", "get"}, {"name", "steps"}}), "expected stage.parameter");
  expect_in(refused(mine, {{"do", "put"}, {"message", Json::binary({1, 2})}}), "without the end of a topic");
  EXPECT_EQ(mine.ask({{"do", "status"}})["sessions"], Json::array({session}));
}

TEST_F(Commands, SetAndGetLiveParameters) {
  auto stage = control();
  Client client(endpoint(), {});
  client.ask({{"do", "set"}, {"name", "denoise.steps"}, {"value", 3}});
  EXPECT_EQ(run.values.at("denoise.steps"), "3");
  EXPECT_EQ(client.ask({{"do", "get"}, {"name", "denoise.steps"}})["value"], "3");
  EXPECT_EQ(client.ask({{"do", "status"}})["parameters"]["denoise.steps"], "3");
}

TEST_F(Commands, OfOnePlayerDoNotFillTheQueue) {
  auto stage = control();
  Client client(endpoint(), {});
  const auto session = client.ask({{"do", "join"}})["session"].get<std::int64_t>();
  const Json act{{"do", "act"}, {"session", session}, {"action", 2}};
  std::string refusal;
  int taken = 0;
  for (; taken < 200 && refusal.empty(); ++taken) refusal = complaint([&] { client.ask(act); });
  expect_in(refusal, "too fast");
  EXPECT_LT(taken, 70);
  Client other(endpoint(), {});
  other.ask({{"do", "join"}});
}

TEST_F(Commands, AreWaitedForThroughSignals) {
  struct sigaction nothing {
  }, before{};
  nothing.sa_handler = [](int) {};
  ASSERT_EQ(sigaction(SIGUSR1, &nothing, &before), 0);
  {
    Client client(endpoint("nobody"), {});
    const auto signals = std::async(std::launch::async, [waiting = pthread_self()] {
      for (int i = 0; i < 5; ++i) {
        std::this_thread::sleep_for(20ms);
        pthread_kill(waiting, SIGUSR1);
      }
    });
    expect_in(complaint([&] { client.ask({{"do", "status"}}, 300ms); }), "no answer");
  }
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(Sessions, OfThoseWhoComeAndGoDoNotFillTheQueue) {
  stages::Sessions sessions(stages::SessionLimits{});
  const stages::Server::Peer peer{"a"};
  std::string refusal;
  for (int i = 0; i < 1000 && refusal.empty(); ++i)
    refusal = complaint([&] { sessions.leave(peer, sessions.join(peer, {})); });
  expect_in(refusal, "too fast");
  EXPECT_LT(sessions.waiting(), 100u);
}

TEST(Sessions, ThatAreSilentLeave) {
  stages::Sessions sessions({.timeout = 0.05});
  const stages::Server::Peer peer{"a"};
  const auto session = sessions.join(peer, {});
  EXPECT_TRUE(sessions.expire().empty());
  std::this_thread::sleep_for(80ms);
  sessions.heard(peer);
  EXPECT_TRUE(sessions.expire().empty());
  std::this_thread::sleep_for(80ms);
  const auto expired = sessions.expire();
  ASSERT_EQ(expired.size(), 1u);
  EXPECT_EQ(expired[0].session, session);
  EXPECT_TRUE(sessions.members().empty());
}

TEST_F(Commands, OneWhoActsKeepsNobodyAlive) {
  auto stage = control(", timeout: 0.5");
  Client busy(endpoint(), {}), silent(endpoint(), {});
  const auto mine = busy.ask({{"do", "join"}})["session"].get<std::int64_t>();
  silent.ask({{"do", "join"}});
  {
    Client vanished(endpoint(), {});
    vanished.ask({{"do", "join"}});
  }
  Json sessions;
  for (int i = 0; i < 80 && sessions != Json::array({mine}); ++i) {
    busy.ask({{"do", "act"}, {"session", mine}, {"action", 2}});
    while (stage.run<stages::Action>(0)->kind != stages::Action::Kind::act) {
    }
    std::this_thread::sleep_for(50ms);
    sessions = busy.ask({{"do", "status"}})["sessions"];
  }
  EXPECT_EQ(sessions, Json::array({mine}));
}

TEST_F(Commands, PutsReachTheirInput) {
  Harness inject("inject", "{endpoint: '" + endpoint() + "', topic: presses, noun: Action}");
  inject.start();
  Client client(endpoint(), {});
  const auto put = [&](const std::string& topic, const Any& body) {
    const auto bytes = stages::encode({.topic = topic, .noun = stages::pack(body)});
    client.ask({{"do", "put"}, {"message", Json::binary({bytes.begin(), bytes.end()})}});
  };
  put("presses", Any::of(stages::Action{3}));
  EXPECT_EQ(inject.run<Any>(0)->as<stages::Action>().action, 3);
  expect_in(complaint([&] { put("presses", Any::of(stages::Tick{})); }), "expected the type Action");
  expect_in(complaint([&] { put("others", Any::of(stages::Action{})); }),
            "nothing here answers 'put others'");
  // What nobody takes is not even read.
  const std::string unread("others\0\7", 8);
  expect_in(complaint([&] {
              client.ask({{"do", "put"}, {"message", Json::binary({unread.begin(), unread.end()})}});
            }),
            "nothing here answers 'put others'");
  std::string refusal;
  for (int i = 0; i < 50 && refusal.empty(); ++i)
    refusal = complaint([&] { put("presses", Any::of(stages::Action{2})); });
  expect_in(refusal, "busy");
}

// --- a pipeline that cannot start --------------------------------------------------------------------------------

struct FailsLate {
  void start() const {
    may_fail.wait(false);
    throw graph::Error("too late");
  }
  void operator()(const stages::Tick&) const {}
  static inline std::atomic<bool> may_fail{false};
};
const bool fails_late = graph::Stage<FailsLate>("fails_late").summary("").in("tick", "").add();

TEST_F(Wire, APipelineThatCannotStartLetsThoseGoWhoCame) {
  const auto file = run.folder() / "p.yaml";
  std::ofstream(file)
      << "stages:\n"
         "  clock: {type: clock}\n"
         "  tap: {type: publish, from: {stage: clock, when_full: latest}, topic: ticks, endpoint: '" +
             endpoint() +
             "'}\n"
             "  control: {type: control, endpoint: '" +
             endpoint("s.control") +
             "'}\n"
             "  actions: {type: count, from: control}\n"
             "  late: {type: fails_late, from: clock}\n";
  auto failure = std::async(std::launch::async, [&] {
    return complaint([&] { graph::Engine(graph::load({.file = file}), {}).run(); });
  });
  const auto reader = stages::subscribe_to_hello(endpoint(), {});
  EXPECT_TRUE(stages::next_hello(*reader, 10s));
  zmq::context_t context;
  zmq::socket_t player(context, zmq::socket_type::dealer);
  player.set(zmq::sockopt::linger, 0);
  player.set(zmq::sockopt::rcvtimeo, 10'000);
  player.connect(endpoint("s.control"));
  const auto join = Json::to_msgpack({{"version", 1}, {"id", 1}, {"do", "join"}});
  player.send(zmq::buffer(join), zmq::send_flags::none);
  const auto heard = [&] {
    zmq::message_t message;
    if (!player.recv(message)) return Json();
    const auto* data = message.data<std::uint8_t>();
    return Json::from_msgpack(data, data + message.size(), true, false);
  };
  EXPECT_TRUE(heard().contains("ok"));

  const auto began = std::chrono::steady_clock::now();
  FailsLate::may_fail = true;
  FailsLate::may_fail.notify_all();
  EXPECT_FALSE(reader->next({}, 5s));
  EXPECT_TRUE(reader->lost());
  Json event;
  do event = heard();
  while (event.is_object() && event.value("event", "") == "alive");
  EXPECT_EQ(event.value("event", ""), "end");
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
  expect_in(failure.get(), "stage 'late': too late");
}

// --- keys ------------------------------------------------------------------------------------------------------

TEST_F(Commands, WithKeysOnlyWhoIsOnTheListIsAnswered) {
  for (const auto* name : {"server", "friend", "stranger"}) stages::make_keys(run.folder() / name);
  const auto file = [&](const std::string& name) { return (run.folder() / name).string(); };
  struct stat status {};
  ASSERT_EQ(::stat(file("server/key.secret").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  expect_in(complaint([&] { stages::make_keys(run.folder() / "server"); }), "exists");
  fs::copy_file(file("friend/key.public"), file("clients"));
  auto stage = control(", key: " + file("server/key.secret") + ", clients: " + file("clients"));
  const auto asks = [&](const stages::ConnectKeys& keys) {
    Client client(endpoint(), keys);
    client.ask({{"do", "status"}}, 700ms);
  };
  EXPECT_EQ(complaint([&] { asks({file("friend/key.secret"), file("server/key.public")}); }), "");
  expect_in(complaint([&] { asks({file("stranger/key.secret"), file("server/key.public")}); }), "no answer");
  expect_in(complaint([&] { asks({file("friend/key.secret"), file("stranger/key.public")}); }), "no answer");
  expect_in(complaint([&] { asks({}); }), "no answer");
  expect_in(complaint([&] { asks({file("friend/key.secret"), ""}); }), "keys come together");
  expect_in(complaint([&] { asks({file("friend/key.secret"), file("nothing")}); }), "cannot be read");
  expect_in(complaint([&] { asks({file("clients"), file("server/key.public")}); }), "others may read");
  expect_in(complaint([&] {
              Harness("control",
                      "{endpoint: '" + endpoint("t") + "', key: " + file("server/key.secret") + "}", "{}",
                      &run)
                  .start();
            }),
            "needs 'clients'");
}

}  // namespace
