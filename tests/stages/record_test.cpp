// record_test: nouns as bytes and back, recordings and what can happen to them.
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <torch/types.h>

#include <bit>
#include <chrono>
#include <fstream>
#include <limits>
#include <sstream>

#include "graph/engine.h"
#include "stages/debug/recording.h"
#include "stages/fields.h"
#include "stages/wire/archive.h"
#include "tests/complaint.h"
#include "tests/harness.h"
#include "tests/stages/run_stub.h"

namespace {

namespace fs = std::filesystem;
using graph::Any;
using stages::FieldWriter;
using stages::Packed;
using stages::RecordingReader;
using stages::RecordingWriter;
using tests::complaint;
using tests::expect_in;
using tests::Harness;
using tests::RunStub;

// --- nouns as bytes ------------------------------------------------------------------------------------------

const double nan_with_payload = std::bit_cast<double>(std::uint64_t{0x7ff8dead'beef0001});

at::Tensor odd_floats(at::IntArrayRef sizes) {
  auto x = torch::randn(sizes);
  x.view(-1)[0] = -0.0f;
  x.view(-1)[1] = std::numeric_limits<float>::quiet_NaN();
  x.view(-1)[2] = -std::numeric_limits<float>::infinity();
  return x;
}

at::Tensor actions(at::IntArrayRef sizes) { return torch::randint(-3, 4, sizes, torch::kLong); }

// One of every noun, with values that are easily lost.
std::vector<Any> nouns() {
  using namespace stages;
  return {
      Any::of(Episode{torch::ones({3, 2, 2, 3}, torch::kByte), actions({3}), odd_floats({3})}),
      Any::of(Clip{odd_floats({2, 3, 3, 4, 4}), actions({2, 3})}),
      Any::of(Patches{odd_floats({2, 3, 4, 5}), actions({2, 3}), 24, 12, 6, Background::zero}),
      // Strides, an empty and an undefined tensor.
      Any::of(
          NoisyPatches{odd_floats({2, 3, 4, 5}).transpose(1, 3), torch::empty({2, 0, 4}), {}, actions({1})}),
      Any::of(Report{std::numeric_limits<std::int64_t>::min(), -0.0, 3, nan_with_payload, 1e-310,
                     std::numeric_limits<std::int64_t>::max(), 1.0 / 3}),
      Any::of(Tick{std::numeric_limits<std::uint64_t>::max()}),
      Any::of(Action{-1, Action::Kind::pause}),
      Any::of(Turn{actions({5}),
                   {{.session = 1,
                     .game = 7,
                     .frames = torch::ones({2, 3, 3, 3}, torch::kByte),
                     .action = actions({2})},
                    {.session = 4, .game = 0}},
                   {{1, 2, 3}, {4}},
                   9}),
      Any::of(Frame{torch::randint(0, 256, {1, 4, 4, 3}, torch::kByte), actions({1}), {{-1, 5, 6}}, 7}),
      Any::of(View{torch::randint(0, 256, {4, 4, 3}, torch::kByte), 1, 2, 3, 4, 5}),
      Any::of(Hello{{{"frames", "frames.frame"}, {"", ""}}, torch::full({9}, 65, torch::kByte)}),
      Any::of(End{}),
  };
}

// Bit for bit, by looking at memory and not at packed bytes.
struct Memory {
  std::string text;

  Memory& operator()(const char* name, const at::Tensor& tensor) {
    text += std::string(name) + ":";
    if (!tensor.defined()) return text += "undefined;", *this;
    text += c10::toString(tensor.scalar_type());
    for (const auto size : tensor.sizes()) text += "," + std::to_string(size);
    const auto plain = tensor.contiguous();
    text.append(static_cast<const char*>(plain.data_ptr()), plain.nbytes());
    return *this;
  }
  Memory& operator()(const char* name, const std::string& value) {
    text += std::string(name) + ":" + value + ";";
    return *this;
  }
  template <class T>
  Memory& operator()(const char* name, const std::vector<T>& values) {
    text += std::string(name) + "[";
    for (auto value : values) fields(value, *this);
    text += "]";
    return *this;
  }
  template <class T>
  Memory& operator()(const char* name, const T& value) {
    text += std::string(name) + ":" + std::string(reinterpret_cast<const char*>(&value), sizeof value) + ";";
    return *this;
  }
};

template <class... Noun>
std::string memory_of(const Any& any, std::type_identity<std::tuple<Noun...>>) {
  Memory memory;
  const auto look = [&](auto noun) { fields(noun, memory); };
  ((any.get<Noun>() ? look(*any.get<Noun>()) : void()), ...);
  return any.type().name + " " + memory.text;
}
std::string memory_of(const Any& any) { return memory_of(any, std::type_identity<stages::Nouns>{}); }

Any unpack(const Packed& packed) { return stages::unpack(packed.type, packed.fields, packed.payload); }

TEST(Pack, BringsEveryNounBackBitForBit) {
  const auto all = nouns();
  ASSERT_EQ(all.size(), std::tuple_size_v<stages::Nouns>);
  for (const auto& noun : all) EXPECT_EQ(memory_of(unpack(stages::pack(noun))), memory_of(noun));
  const auto report = unpack(stages::pack(all[4]));
  EXPECT_TRUE(std::signbit(report.as<stages::Report>().loss));
  EXPECT_EQ(std::bit_cast<std::uint64_t>(report.as<stages::Report>().lr_adam),
            std::bit_cast<std::uint64_t>(nan_with_payload));
}

TEST(Pack, KnowsEveryTypeOfNumber) {
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort,
                          at::kChar, at::kByte, at::kBool}) {
    const auto noun = Any::of(stages::Turn{torch::arange(-2, 5).to(type)});
    EXPECT_EQ(memory_of(unpack(stages::pack(noun))), memory_of(noun));
  }
  expect_in(complaint([] { stages::pack(Any::of(stages::Turn{torch::zeros({1}, at::kComplexFloat)})); }),
            "field 'action': no packed form for tensors of ComplexFloat");
}

TEST(Pack, HasTheFormThatItsHeaderDescribes) {
  const auto packed = stages::pack(
      Any::of(stages::Episode{torch::full({1, 2}, 7, torch::kByte), torch::ones({1}, torch::kLong), {}}));
  EXPECT_EQ(packed.type, "Episode");
  EXPECT_EQ(packed.fields, std::string("\x83\xa6"
                                       "frames\x82\xa5"
                                       "dtype\xa5uint8\xa5shape\x92\x01\x02"
                                       "\xa6"
                                       "action\x82\xa5"
                                       "dtype\xa5int64\xa5shape\x91\x01\xa6"
                                       "reward\xc0"));
  EXPECT_EQ(packed.payload, std::string("\x07\x07\x01\0\0\0\0\0\0\0", 10));
}

TEST(Pack, RefusesWhatDoesNotTravel) {
  EXPECT_EQ(complaint([] { stages::pack(Any::of(stages::Snapshot{})); }),
            "Snapshot cannot be recorded or sent; expected one of Action, Clip, End, Episode, "
            "Frame, Hello, NoisyPatches, Patches, "
            "Report, Tick, Turn, View");
  expect_in(complaint([] { stages::pack(Any::of(3)); }), "int cannot be recorded");
  expect_in(complaint([] { stages::unpack("Snapshot", "\x80", ""); }), "its type is not known here");
}

TEST(Unpack, RefusesEveryTruncation) {
  for (const auto& noun : nouns()) {
    const auto packed = stages::pack(noun);
    for (std::size_t i = 0; i < packed.fields.size(); ++i)
      EXPECT_NE(complaint([&] { stages::unpack(packed.type, packed.fields.substr(0, i), packed.payload); }),
                "")
          << packed.type << " " << i;
    for (std::size_t i = 0; i < packed.payload.size(); ++i)
      EXPECT_NE(complaint([&] { stages::unpack(packed.type, packed.fields, packed.payload.substr(0, i)); }),
                "")
          << packed.type << " " << i;
    EXPECT_NE(complaint([&] { stages::unpack(packed.type, packed.fields + '\xc0', packed.payload); }), "");
    EXPECT_NE(complaint([&] { stages::unpack(packed.type, packed.fields, packed.payload + 'x'); }), "");
  }
}

TEST(Unpack, GivesAValueOrALineForEveryFlippedBit) {
  int refused = 0;
  for (const auto& noun : nouns()) {
    const auto packed = stages::pack(noun);
    for (std::size_t bit = 0; bit < 8 * packed.fields.size(); ++bit) {
      auto fields = packed.fields;
      fields[bit / 8] = static_cast<char>(fields[bit / 8] ^ (1 << bit % 8));
      refused += complaint([&] { stages::unpack(packed.type, fields, packed.payload); }) != "";
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Unpack, TakesNoMemoryForWhatIsOnlyAnnounced) {
  const auto turn = [](const std::string& tensor) {
    return "\x84\xa6starts\x90\xa7players\x90\xa6number\x01\xa6"
           "action" +
           tensor;
  };
  const auto tensor = [](const std::string& shape) {
    return "\x82\xa5"
           "dtype\xa5uint8\xa5shape" +
           shape;
  };
  const auto wrong = [](const std::string& fields) {
    return complaint([&] { stages::unpack("Turn", fields, "12345678"); });
  };
  EXPECT_EQ(wrong(turn(tensor("\x92\x02\x04"))), "");
  const std::string huge("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9), million("\xce\x00\x10\x00\x00", 5);
  // A list and a map of four thousand million.
  expect_in(wrong(turn(tensor("\xdd\xff\xff\xff\xff"))), "cut off or damaged");
  expect_in(wrong(turn("\xdf\xff\xff\xff\xff")), "cut off or damaged");
  expect_in(wrong(turn(std::string(100'000, '\x91'))), "cut off or damaged");
  // A terabyte, and products that overflow.
  expect_in(wrong(turn(tensor("\x92" + million + million))), "of which 8 are there");
  expect_in(wrong(turn(tensor("\x91" + huge))), "its shape is too large");
  expect_in(wrong(turn(tensor("\x93" + huge + huge + std::string(1, '\0')))), "its shape is too large");
  expect_in(wrong(turn(tensor("\x92\xff\x08"))), "natural numbers");
  expect_in(wrong(turn(tensor("\xc0"))), "without a shape");
  expect_in(wrong(turn("\x03")), "expected a tensor");
  expect_in(wrong(turn("\x80")), "its dtype is none of");
  expect_in(wrong("\xa3"
                  "abc"),
            "not one msgpack map");
  expect_in(wrong("\x80"), "Turn: field 'action': missing");
  expect_in(wrong("\x85\xa6starts\x90\xa7players\x90\xa6number\x01\xa6"
                  "action" +
                  tensor("\x91\x08") + "\xa3new\x01"),
            "fields that are not known");
}

TEST(Unpack, TellsNumbersOfAnotherKindApart) {
  const auto wrong = [](const std::string& type, const std::string& fields) {
    return complaint([&] { stages::unpack(type, fields, ""); });
  };
  const std::string huge("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9);
  EXPECT_EQ(wrong("Tick", "\x81\xa7skipped" + huge), "");
  expect_in(wrong("Tick", "\x81\xa7skipped\xff"), "'skipped': expected a natural number");
  expect_in(wrong("Action",
                  "\x81\xa6"
                  "action" +
                      huge),
            "'action': too large");
  expect_in(wrong("Action",
                  "\x81\xa6"
                  "action\xa1x"),
            "'action': expected an integer");
}

// --- recordings ----------------------------------------------------------------------------------------------

std::string bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Any turn(std::int64_t action) { return Any::of(stages::Turn{torch::full({2}, action, torch::kLong)}); }

class Recordings : public testing::Test {
 protected:
  Recordings() { run.edges = {{"source.out", "record.messages", {}, {.arrived = 9, .dropped = 6}}}; }

  fs::path path() const { return run.folder() / "x.rec"; }
  void write(const std::string& content) const { std::ofstream(path(), std::ios::binary) << content; }

  // Three messages with the numbers 2, 3 and 7, as in a run that drops.
  void record_three() {
    Harness record("record", "{path: " + path().string() + "}", "{}", &run);
    record.start();
    record.run<>(2, turn(1));
    record.run<>(3, turn(2));
    record.run<>(7, turn(3));
    EXPECT_FALSE(fs::exists(path()));
    record.finish();
  }

  // All that replay says of a file.
  std::string refusal() const {
    return complaint([&] {
      Harness replay("replay", "{path: " + path().string() + "}");
      replay.start();
      for (std::uint64_t number = 0; !replay.ended() && number < 100; ++number) replay.run<Any>(number);
    });
  }

  RunStub run;
};

TEST_F(Recordings, BringEveryNounBackBitForBit) {
  for (const auto& noun : nouns()) {
    Harness record("record", "{path: " + path().string() + "}", "{}", &run);
    record.start();
    record.run<>(0, noun);
    record.run<>(1, noun);
    record.finish();
    Harness replay("replay", "{path: " + path().string() + "}");
    replay.start();
    EXPECT_EQ(memory_of(*replay.run<Any>(0)), memory_of(noun));
    EXPECT_EQ(memory_of(*replay.run<Any>(1)), memory_of(noun));
    replay.run<Any>(2);
    EXPECT_TRUE(replay.ended());
    fs::remove(path());
  }
}

TEST_F(Recordings, AreNotOverwritten) {
  Harness first("record", "{path: " + path().string() + "}", "{}", &run);
  first.start();
  first.run<>(0, turn(1));
  first.finish();
  const auto size = fs::file_size(path());
  Harness second("record", "{path: " + path().string() + "}", "{}", &run);
  expect_in(complaint([&] { second.start(); }), "exists; choose another path");
  // A run that goes on has a name of its own for what it adds.
  run.first_number = 4;
  Harness third("record", "{path: " + path().string() + "}", "{}", &run);
  third.start();
  third.run<>(4, turn(2));
  third.finish();
  EXPECT_EQ(fs::file_size(path()), size);
  EXPECT_TRUE(fs::exists(path().parent_path() / "x-000004.rec"));
}

TEST_F(Recordings, OfARunThatFailedHaveNoEnd) {
  Harness record("record", "{path: " + path().string() + "}", "{}", &run);
  record.start();
  record.run<>(0, turn(1));
  run.broken = true;
  record.finish();
  EXPECT_FALSE(fs::exists(path()));
  EXPECT_TRUE(fs::exists(path().string() + ".part"));
}

TEST_F(Recordings, KeepNumbersPipelineAndCounts) {
  record_three();
  RecordingReader reader(path());
  EXPECT_EQ(reader.head().type, "Turn");
  EXPECT_EQ(reader.head().stage, "record");
  EXPECT_EQ(reader.head().edge, "source.out");
  EXPECT_EQ(reader.head().pipeline, run.pipeline());
  while (reader.next()) {
  }
  ASSERT_TRUE(reader.totals());
  EXPECT_EQ(reader.totals()->messages, 3u);
  EXPECT_EQ(reader.totals()->arrived, 9u);
  EXPECT_EQ(reader.totals()->dropped, 6u);

  Harness replay("replay", "{path: " + path().string() + "}");
  replay.start();
  for (std::uint64_t number = 0; number < 8; ++number) {
    const auto sent = replay.run<Any>(number);
    EXPECT_EQ(sent.has_value(), number == 2 || number == 3 || number == 7) << number;
    EXPECT_FALSE(replay.ended());
    if (number == 7) {
      EXPECT_EQ(memory_of(*sent), memory_of(turn(3)));
    }
  }
  replay.run<Any>(8);
  EXPECT_TRUE(replay.ended());

  // A run that goes on later begins in the middle.
  Harness later("replay", "{path: " + path().string() + "}");
  later.start();
  EXPECT_EQ(memory_of(*later.run<Any>(3)), memory_of(turn(2)));
}

TEST_F(Recordings, LieInTheRunsFolderUnderTheStagesName) {
  Harness record("record", "{}", "{}", &run);
  record.start();
  record.finish();
  RecordingReader reader(run.folder() / "record.rec");
  EXPECT_FALSE(reader.next());
  EXPECT_EQ(reader.totals()->messages, 0u);
}

TEST_F(Recordings, RefuseASecondRecorderASecondTypeAndAFolder) {
  Harness record("record", "{path: " + path().string() + "}", "{}", &run);
  record.start();
  record.run<>(0, turn(1));
  Harness second("record", "{path: " + path().string() + "}", "{}", &run);
  expect_in(complaint([&] { second.start(); }), "x.rec.part: another recorder is writing it");
  expect_in(complaint([&] { record.run<>(1, Any::of(stages::Action{2})); }), "one type of message");
  Harness astray("record", "{path: " + run.folder().string() + "}", "{}", &run);
  expect_in(complaint([&] { astray.start(); }), "a folder, expected a file's name");
}

TEST_F(Recordings, OfARunningRecorderCanBeReadSoFar) {
  Harness record("record", "{path: " + path().string() + "}", "{}", &run);
  record.start();
  record.run<>(0, turn(1));
  expect_in(refusal(),
            "no such file; to replay what a killed recorder left, take " + path().string() + ".part");
  RecordingReader reader(path() += ".part");
  EXPECT_EQ(memory_of(reader.next()->body), memory_of(turn(1)));
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.totals());
  record.run<>(1, turn(2));
  EXPECT_EQ(memory_of(reader.next()->body), memory_of(turn(2)));
}

TEST_F(Recordings, CutAnywhereGiveWhatIsWholeAndHaveNoEnd) {
  record_three();
  const auto whole = bytes(path());
  std::vector<int> at(4);  // cuts that left so many messages
  int refused = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write(whole.substr(0, size));
    std::optional<RecordingReader> reader;
    if (const auto text = complaint([&] { reader.emplace(path()); }); text != "") {
      expect_in(text, size == 0  ? "empty"
                      : size < 8 ? "not a recording"
                                 : "cut off before its first message");
      EXPECT_EQ(at, std::vector<int>(4));
      ++refused;
      continue;
    }
    std::size_t messages = 0;
    while (reader->next()) ++messages;
    EXPECT_FALSE(reader->totals()) << size;
    ++at.at(messages);
  }
  EXPECT_GT(refused, 12);
  for (const auto cuts : at) EXPECT_GT(cuts, 17);
}

TEST_F(Recordings, CutOffAreReplayedWithAWarning) {
  record_three();
  const auto whole = bytes(path());
  write(whole.substr(0, whole.size() - 1));
  std::ostringstream said;
  const auto old = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_mt>(said)));
  EXPECT_EQ(refusal(), "");
  spdlog::set_default_logger(old);
  expect_in(said.str(), "[warning] replay: " + path().string() + " has no end: its 3 whole messages");
}

TEST_F(Recordings, WithAnyByteChangedAreRefused) {
  record_three();
  const auto whole = bytes(path());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    auto changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    write(changed);
    const auto text = refusal();
    expect_in(text, path().string() + ": ");
    EXPECT_TRUE(text.find("damaged") != std::string::npos || i < 12) << i << ": " << text;
  }
  auto changed = whole;
  changed[changed.size() - 1] ^= 1;
  write(changed);
  EXPECT_EQ(refusal(),
            path().string() + ": record 4 is damaged: its checksum is wrong; 3 before it are whole");
  write(whole + "x");
  expect_in(refusal(), "goes on behind its end");
}

TEST_F(Recordings, ThatAreNoneAreRefusedInOneLine) {
  expect_in(refusal(), "x.rec: cannot read: No such file or directory");
  write("");
  expect_in(refusal(), "x.rec: empty");
  write("frames and frames and frames and frames");
  expect_in(refusal(), "x.rec: not a recording");
  write(std::string("WLRECORD\2\0\0\0 what is to come", 28));
  expect_in(refusal(), "a recording of version 2, and this program reads version 1");
  fs::remove(path());
  fs::create_directory(path());
  expect_in(refusal(), "x.rec: not a file, expected a recording");
  expect_in(complaint([] { Harness("replay").start(); }), "path: expected a file");
}

TEST_F(Recordings, WithMessagesOutOfOrderAreRefused) {
  const auto packed = stages::pack(turn(1));
  const auto said = [&](std::uint64_t number, std::uint64_t nanoseconds) {
    RecordingWriter writer(path());
    writer.begin({"Turn", "record", "a.b", ""});
    writer.add(5, 50, packed);
    writer.add(number, nanoseconds, packed);
    writer.end({2, 2, 0});
    return refusal();
  };
  EXPECT_EQ(said(6, 50), "");
  expect_in(said(5, 50), "record 2 is damaged: its number does not follow");
  expect_in(said(6, 49), "record 2 is damaged: its time does not follow");
  expect_in(said(6, UINT64_MAX), "record 2 is damaged: its time does not follow");
  RecordingWriter writer(path());
  writer.begin({"Turn", "record", "a.b", ""});
  writer.add(5, 50, packed);
  writer.end({2, 2, 0});
  expect_in(refusal(), "holds 1 of the 2 messages");
}

TEST_F(Recordings, OfAnotherVersionsNounsAreRefused) {
  const auto said = [&](const std::string& type, const Packed& packed) {
    RecordingWriter writer(path());
    writer.begin({type, "record", "a.b", ""});
    writer.add(0, 0, packed);
    writer.end({1, 1, 0});
    return refusal();
  };
  expect_in(said("Sound", stages::pack(turn(1))), "record 1 cannot be read: its type is not known here");
  expect_in(said("Frame", stages::pack(turn(1))), "record 1 cannot be read: Frame: field 'pixels': missing");
}

TEST_F(Recordings, InRealtimeKeepTheirGaps) {
  const auto packed = stages::pack(turn(1));
  RecordingWriter writer(path());
  writer.begin({"Turn", "record", "a.b", ""});
  writer.add(0, 0, packed);
  writer.add(1, 40'000'000, packed);
  writer.end({2, 2, 0});
  Harness replay("replay", "{path: " + path().string() + ", realtime: true}");
  replay.start();
  replay.run<Any>(0);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(replay.run<Any>(1));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(30));

  Harness stopped("replay", "{path: " + path().string() + ", realtime: true}");
  stopped.start();
  stopped.run<Any>(0);
  stopped.stop();
  EXPECT_FALSE(stopped.run<Any>(1));
  EXPECT_TRUE(stopped.ended());
}

// --- in a pipeline -------------------------------------------------------------------------------------------

// Messages that cost nothing to send and take long to write.
struct Heavy {
  stages::Turn operator()(const graph::Context&) const {
    return {torch::zeros({1}, torch::kLong).expand({1'000'000})};
  }
};
const bool heavy = graph::Stage<Heavy>("heavy").summary("").out("turn", "").add();

class InAPipeline : public Recordings {
 protected:
  graph::Pipeline load(const std::string& text) const {
    const auto file = run.folder() / "p.yaml";
    std::ofstream(file) << text;
    return graph::load({.file = file});
  }
};

TEST_F(InAPipeline, WhatTheEdgeDroppedIsCounted) {
  const auto pipeline = load(
      "stop: {steps: 40}\n"
      "stages:\n"
      "  turns: {type: heavy}\n"
      "  kept: {type: record, path: " +
      path().string() + ", from: {stage: turns, when_full: drop_oldest, capacity: 2}}\n");
  graph::Engine(pipeline, {.folder = run.folder()}).run();
  RecordingReader reader(path());
  EXPECT_EQ(reader.head().edge, "turns.turn");
  EXPECT_EQ(reader.head().pipeline, graph::to_yaml(pipeline.merged));
  std::uint64_t last = 0;
  while (const auto message = reader.next()) last = message->number;
  EXPECT_EQ(last, 39u);
  ASSERT_TRUE(reader.totals());
  EXPECT_EQ(reader.totals()->arrived, 40u);
  EXPECT_GT(reader.totals()->dropped, 0u);
  EXPECT_EQ(reader.totals()->messages + reader.totals()->dropped, 40u);
}

TEST_F(InAPipeline, AReplayOfAnotherTypeIsAnErrorAtTheStageThatTakesIt) {
  record_three();
  const auto text = complaint([&] {
    graph::Engine(load("stages:\n"
                       "  again: {type: replay, path: " +
                       path().string() +
                       "}\n"
                       "  late: {type: delay, seconds: 0, from: again}\n"
                       "  frames: {type: unpatchify, from: late}\n"
                       "  seen: {type: count, from: frames}\n"),
                  {})
        .run();
  });
  expect_in(text, "p.yaml:4:3: stage 'frames', message 2: expected Patches, got Turn");
}

}  // namespace
