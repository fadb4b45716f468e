// npy_test: .npy files, good and broken, and the stages that write and read datasets.
#include "stages/data/npy.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <torch/types.h>

#include <fstream>
#include <map>
#include <set>

#include "stages/data/pixels.h"
#include "stages/pong/episode.h"
#include "stages/types.h"
#include "tests/harness.h"
#include "tests/stages/run_stub.h"

namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;
using stages::Background;
using stages::Clip;
using stages::Episode;
using stages::NpyFile;
using stages::NpyWriter;
using tests::Harness;
using tests::RunStub;

// A file's bytes before the numbers: magic, version, length, header.
std::string head(const std::string& header, char major = 1) {
  std::string text = "\x93NUMPY"s + major + '\0';
  const auto size = header.size();
  for (int byte = 0; byte < (major == 1 ? 2 : 4); ++byte) text += static_cast<char>(size >> (8 * byte) & 255);
  return text + header;
}

std::string header_of(const std::string& descr, const std::string& shape,
                      const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}

template <class T>
std::string bytes_of(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

class Npy : public testing::Test {
 protected:
  fs::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder / name, std::ios::binary) << bytes;
    return folder / name;
  }

  // What opening the file says; "" when nothing is wrong with it.
  static std::string refusal(const fs::path& path) {
    try {
      NpyFile{path};
    } catch (const graph::Error& error) {
      return error.what();
    }
    return "";
  }

  RunStub run;
  const fs::path folder = run.folder();
};

TEST_F(Npy, AllVersionsAndWidthsAreRead) {
  const std::vector<std::int16_t> numbers{0, -2, 300};
  for (const char major : {char{1}, char{2}, char{3}}) {
    const NpyFile file(write("a.npy", head(header_of("<i2", "(3,)"), major) + bytes_of(numbers)));
    EXPECT_EQ(file.shape(), std::vector<std::int64_t>{3});
    EXPECT_EQ(file.dtype(), "<i2");
    for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(file.integer(i), numbers[static_cast<std::size_t>(i)]);
  }
  const auto read = [&](const std::string& dtype, const std::string& bytes) {
    return NpyFile(write("b.npy", head(header_of(dtype, "(2,)")) + bytes)).integer(1);
  };
  EXPECT_EQ(read("|u1", bytes_of<std::uint8_t>({1, 255})), 255);
  EXPECT_EQ(read("|i1", bytes_of<std::int8_t>({1, -1})), -1);
  EXPECT_EQ(read("<u2", bytes_of<std::uint16_t>({1, 65535})), 65535);
  EXPECT_EQ(read("<i4", bytes_of<std::int32_t>({1, -70000})), -70000);
  EXPECT_EQ(read("<u4", bytes_of<std::uint32_t>({1, 4000000000})), 4000000000);
  EXPECT_EQ(read("<i8", bytes_of<std::int64_t>({1, -5000000000})), -5000000000);
  EXPECT_EQ(read("<u8", bytes_of<std::uint64_t>({1, 7})), 7);
  // Never taken for a small number.
  EXPECT_EQ(read("<u8", bytes_of<std::uint64_t>({1, UINT64_MAX})), INT64_MAX);
}

TEST_F(Npy, TheHeaderIsReadAsPythonWouldReadIt) {
  for (const auto* header : {"{\"shape\": ( 2 , ), 'fortran_order':False,'descr' : '|u1'}",
                             "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}   \n",
                             "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1,), }"})
    EXPECT_EQ(refusal(write("a.npy", head(header) + "ab")), "") << header;
}

TEST_F(Npy, BrokenFilesAreRefusedInOneLineThatNamesThem) {
  const auto good = head(header_of("|u1", "(4,)")) + "abcd";
  const std::pair<std::string, const char*> cases[] = {
      {"", "0 bytes long, expected a .npy file"},
      {"\x93NUM", "not a .npy file"},
      {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
      {"PK\x03\x04 and more", "not a .npy file"},
      {good.substr(0, 7), "cut off: 7 bytes long, expected 12"},
      {good.substr(0, 9), "cut off: 9 bytes long"},
      {good.substr(0, 40), "cut off: 40 bytes long"},
      {good.substr(0, good.size() - 1), "for shape (4,); copy or download it again"},
      {good + "e", "1 bytes follow the array of shape (4,)"},
      {head(header_of("|u1", "(4,)"), 4) + "abcd", "format version 4.0, expected 1.0, 2.0 or 3.0"},
      {head(std::string(20'000, ' ')), "its header claims 20000 bytes, expected at most 10000"},
      {"\x93NUMPY\x02"s + '\0' + "\xff\xff\xff\xff", "its header claims 4294967295 bytes"},
      {head(header_of("|u1", "(4611686018427387904, 4611686018427387904)")), "overflows"},
      {head(header_of("<i8", "(4611686018427387904,)")), "overflows"},
      {head(header_of("|u1", "(99999999999999999999,)")), "expected a shape of natural numbers"},
      {head(header_of("|u1", "(1000000000000,)")) + "abcd", "expected 80 and 1000000000000 more"},
      {head(header_of("|u1", "(-4,)")) + "abcd", "expected a shape of natural numbers"},
      {head(header_of("|u1", "(4.0,)")) + "abcd", "expected ')'"},
      {head(header_of("|u1", "4")) + "abcd", "expected '('"},
      {head(header_of("|u1", "(0, 24, 24, 3)")), "its shape is (0,24,24,3): empty"},
      {head(header_of("|u1", "(2, 2)", "True")) + "abcd", "Fortran order"},
      {head(header_of(">i8", "(1,)")) + "abcdefgh",
       "big-endian ('>i8'), expected little-endian; save array.astype('<i8')"},
      {head(header_of("|O", "(4,)")) + "abcd", "Python objects"},
      {head(header_of("<U4", "(1,)")) + "abcd", "its items are '<U4', expected plain integers or floats"},
      {head(header_of("<c8", "(1,)")) + "abcdefgh", "its items are '<c8'"},
      {head(header_of("", "(4,)")) + "abcd", "its items are ''"},
      {head("{'descr': [('x', '<i4')], 'fortran_order': False, 'shape': (1,), }") + "abcd", "structures"},
      {head("{'descr': '|u1', 'shape': (4,), }") + "abcd", "expected descr, fortran_order and shape"},
      {head("{'descr': '|u1', 'descr': '|i1', 'fortran_order': False, 'shape': (4,)}") + "abcd",
       "two entries named 'descr'"},
      {head("{'descr': '|u1', 'fortran_order': 0, 'shape': (4,)}") + "abcd", "expected True or False"},
      {head("{'descr': '|u1', 'colour': 'red'}") + "abcd", "unknown key 'colour'"},
      {head("{'descr': '|u\n1', }") + "abcd", "expected plain letters"},
      {head("{'descr': '|u1'") + "abcd", "expected '}'"},
      {head("{'descr': '|u1") + "abcd", "expected a string"},
      {head("") + "abcd", "expected '{'"},
      {head(header_of("|u1", "(4,)") + "{}") + "abcd", "text behind the '}'"},
  };
  for (const auto& [bytes, expected] : cases) {
    const auto path = write("broken.npy", bytes);
    const auto text = refusal(path);
    EXPECT_NE(text.find(expected), std::string::npos) << "'" << text << "' for '" << expected << "'";
    EXPECT_TRUE(text.starts_with(path.string())) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
  EXPECT_NE(refusal(folder / "nothing.npy").find("cannot open"), std::string::npos);
  EXPECT_NE(refusal(folder).find("not a regular file"), std::string::npos);
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_NE(refusal(folder / "pipe").find("not a regular file"), std::string::npos);
}

TEST_F(Npy, WhatIsWrittenIsReadAndHasItsNameOnlyThen) {
  const std::vector<float> numbers{1, 2, 3, 4, 5, 6};
  const auto path = folder / "a.npy";
  {
    NpyWriter writer(path, "<f4");
    writer.append(numbers.data(), 8);
    writer.append(numbers.data() + 2, 16);
    writer.flush({3, 2});
    EXPECT_FALSE(fs::exists(path));
    EXPECT_TRUE(fs::exists(folder / "a.npy.part"));
    writer.publish();
  }
  EXPECT_FALSE(fs::exists(folder / "a.npy.part"));
  const NpyFile file(path);
  EXPECT_EQ(file.shape(), (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(std::memcmp(file.data(), numbers.data(), 24), 0);
}

TEST_F(Npy, AnUnpublishedFileLeavesNothingAndTwoWritersDoNotMix) {
  {
    NpyWriter writer(folder / "a.npy", "|u1");
    writer.append("abc", 3);
    EXPECT_THROW(writer.flush({4}), graph::Error);
    EXPECT_THROW(NpyWriter(folder / "a.npy", "|u1"), graph::Error);
    EXPECT_TRUE(fs::exists(folder / "a.npy.part"));
  }
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(Npy, WhatAKillLeftBehindIsOverwritten) {
  write("a.npy.part", std::string(1000, 'x'));
  NpyWriter writer(folder / "a.npy", "|u1");
  writer.append("abc", 3);
  writer.flush({3});
  writer.publish();
  EXPECT_EQ(refusal(folder / "a.npy"), "");
}

// --- the stages ----------------------------------------------------------------------------------------------

TEST(PongEpisodes, AMessageIsAnEpisodeOfTheSeed) {
  Harness source("pong_episodes", "{frames: 50, render: point}", "{seed: 3}");
  source.run<Episode>(0);
  const auto episode = *source.run<Episode>(7);
  const auto expected = pong::make_episode(3, 7, {.length = 50, .rendering = pong::Rendering::point});
  ASSERT_EQ(episode.frames.sizes(), (std::vector<std::int64_t>{50, 24, 24, 3}));
  EXPECT_EQ(std::memcmp(episode.frames.data_ptr(), expected.frames.data(), expected.frames.size()), 0);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(episode.action[i].item<int>(), static_cast<int>(expected.actions[static_cast<std::size_t>(i)]));
    EXPECT_EQ(episode.reward[i].item<int>(), expected.rewards[static_cast<std::size_t>(i)]);
  }
}

class Dataset : public Npy {
 protected:
  // N frames of 2 x 2 x 3, every number of frame k equal to k; action k is k % 3.
  void write_dataset(int N) const {
    std::string pixels, actions;
    for (int k = 0; k < N; ++k) {
      pixels.append(12, static_cast<char>(k));
      actions += static_cast<char>(k % 3);
    }
    write("frames.npy", head(header_of("|u1", "(" + std::to_string(N) + ", 2, 2, 3)")) + pixels);
    write("actions.npy", head(header_of("|i1", "(" + std::to_string(N) + ",)")) + actions);
  }

  Harness clips(const std::string& params, const std::string& model = "") const {
    return Harness("npy_clips", "{path: " + folder.string() + ", " + params + "}",
                   "{seed: 5, model: {height: 2, width: 2, patch_size: 1" + model + "}}");
  }

  // The number that frame i of clip b is filled with.
  static int shade(const Clip& clip, int b, int i) {
    const auto bytes = stages::to_bytes(clip.frames[b][i].permute({1, 2, 0}), clip.background);
    EXPECT_TRUE(bytes.eq(bytes[0][0][0]).all().item<bool>());
    return bytes[0][0][0].item<int>();
  }

  std::string start_refusal(const std::string& params, const std::string& model = "") const {
    try {
      clips(params, model).start();
    } catch (const graph::Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
    return "";
  }
};

TEST_F(Dataset, AFrameAnswersToTheActionBeforeItAndAnEpochShowsEveryClipOnce) {
  write_dataset(25);  // episodes of 10, 10 and 5 frames hold 2, 2 and 1 stretches of 4
  auto source = clips("batch: 1, frames: 3, episode: 10");
  source.start();
  std::map<int, int> seen;
  std::vector<int> first, second;
  for (std::uint64_t n = 0; n < 10; ++n) {
    const auto clip = *source.run<Clip>(n);
    ASSERT_EQ(clip.frames.sizes(), (std::vector<std::int64_t>{1, 3, 3, 2, 2}));
    const int begin = shade(clip, 0, 0);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(shade(clip, 0, i), begin + i);
      EXPECT_EQ(clip.action[0][i].item<int>(), 1 + (begin + i - 1) % 3);
    }
    ++seen[begin];
    (n < 5 ? first : second).push_back(begin);
  }
  EXPECT_EQ(seen, (std::map<int, int>{{1, 2}, {5, 2}, {11, 2}, {15, 2}, {21, 2}}));
  EXPECT_EQ(std::set<int>(first.begin(), first.end()).size(), 5u);
  EXPECT_NE(first, second);
}

TEST_F(Dataset, AMessageIsAFunctionOfSeedAndNumber) {
  write_dataset(200);
  // Batches that span epochs (49 stretches), asked for out of order.
  auto one = clips("batch: 20, frames: 3"), two = clips("batch: 20, frames: 3");
  one.start();
  two.start();
  two.run<Clip>(0);
  two.run<Clip>(7);
  const auto clip = *one.run<Clip>(2);
  const auto same = *two.run<Clip>(2);
  EXPECT_TRUE(clip.frames.equal(same.frames));
  EXPECT_TRUE(clip.action.equal(same.action));
  EXPECT_FALSE(clip.frames.equal(one.run<Clip>(3)->frames));
}

TEST_F(Dataset, OneGameMayFillTheFile) {
  write_dataset(25);
  auto source = clips("batch: 6, frames: 3, episode: 0");
  source.start();
  const auto clip = *source.run<Clip>(0);
  std::set<int> begins;
  for (int b = 0; b < 6; ++b) begins.insert(shade(clip, b, 0));
  EXPECT_EQ(begins, (std::set<int>{1, 5, 9, 13, 17, 21}));
}

TEST_F(Dataset, WhatIsHeldOutIsOfTheEndAndNeverDrawn) {
  // Episodes of 20 frames hold 5 stretches of 4. A tenth at most is held out, and a whole episode where that costs
  // training no more than a tenth.
  for (const auto& [frames, held_out, episode, count, first, drawn] :
       {std::tuple(100, 2, 20, 2, 93, 23), std::tuple(100, 50, 20, 2, 93, 23),
        std::tuple(100, 1, 0, 1, 97, 24), std::tuple(100, 0, 20, 0, 999, 25),
        std::tuple(32, 64, 20, 0, 999, 8), std::tuple(240, 4, 20, 4, 221, 55)}) {
    write_dataset(frames);
    auto source = clips("batch: 1, frames: 3, held_out: " + std::to_string(held_out) +
                        ", episode: " + std::to_string(episode));
    const auto kept = source.start<stages::HeldOut>();
    std::set<int> held, trained;
    for (int b = 0; kept && b < kept->clips.frames.size(0); ++b) held.insert(shade(kept->clips, b, 0));
    for (int n = 0; n < drawn; ++n)
      trained.insert(shade(*source.run<Clip>(static_cast<std::uint64_t>(n)), 0, 0));
    EXPECT_EQ(held.size(), static_cast<std::size_t>(count));
    EXPECT_EQ(held.empty() ? 999 : *held.begin(), first);
    EXPECT_EQ(trained.size(), static_cast<std::size_t>(drawn));
    EXPECT_LT(*trained.rbegin(), first);
  }
}

TEST_F(Dataset, BackgroundZeroIsForTheModelToSay) {
  std::string pixels;
  for (int i = 0; i < 8; ++i) pixels += "\x06\x18\x18";
  write("frames.npy", head(header_of("|u1", "(2, 2, 2, 3)")) + pixels);
  write("actions.npy", head(header_of("<i8", "(2,)")) + bytes_of<std::int64_t>({0, 2}));
  auto source = clips("batch: 1, frames: 1", ", background: zero");
  source.start();
  const auto clip = *source.run<Clip>(0);
  EXPECT_EQ(clip.background, Background::zero);
  EXPECT_TRUE(clip.frames.eq(0).all().item<bool>());
}

TEST_F(Dataset, WhatDoesNotFitIsRefused) {
  EXPECT_NE(start_refusal("frames: 3").find("frames.npy: cannot open"), std::string::npos);
  write_dataset(20);
  EXPECT_EQ(start_refusal("frames: 3"), "");
  EXPECT_NE(start_refusal("frames: 20").find("an episode has 20 frames, expected at least 21"),
            std::string::npos);
  EXPECT_NE(start_refusal("frames: 9, episode: 9").find("an episode has 9 frames, expected at least 10"),
            std::string::npos);
  EXPECT_NE(
      start_refusal("frames: 3", ", in_channels: 1").find("its frames are 2 x 2 x 3, expected 2 x 2 x 1"),
      std::string::npos);
  EXPECT_NE(start_refusal("frames: 3", ", n_actions: 3").find("action 2 is 2, expected 0 to 1"),
            std::string::npos);

  write("rewards.npy", head(header_of("<f4", "(19,)")) + std::string(76, '\0'));
  EXPECT_NE(start_refusal("frames: 3").find("19 items, expected one for each of the 20 frames"),
            std::string::npos);
  fs::remove(folder / "rewards.npy");

  write("actions.npy", head(header_of("|i1", "(20,)")) + std::string(19, '\0') + "\xff");
  EXPECT_NE(start_refusal("frames: 3").find("action 19 is -1, expected 0 to 2"), std::string::npos);
  write("actions.npy", head(header_of("|i1", "(21,)")) + std::string(21, '\0'));
  EXPECT_NE(start_refusal("frames: 3").find("21 items, expected one for each of the 20 frames"),
            std::string::npos);
  write("actions.npy", head(header_of("|i1", "(20, 1)")) + std::string(20, '\0'));
  EXPECT_NE(start_refusal("frames: 3").find("its shape is (20,1), expected [N]"), std::string::npos);
  write("actions.npy", head(header_of("<f4", "(20,)")) + std::string(80, '\0'));
  EXPECT_NE(start_refusal("frames: 3").find("its numbers are '<f4', expected integers"), std::string::npos);

  write_dataset(20);
  write("frames.npy", head(header_of("|i1", "(20, 2, 2, 3)")) + std::string(240, '\0'));
  EXPECT_NE(start_refusal("frames: 3").find("its numbers are '|i1', expected uint8"), std::string::npos);
  write("frames.npy", head(header_of("|u1", "(20, 12)")) + std::string(240, '\0'));
  EXPECT_NE(start_refusal("frames: 3").find("its shape is (20,12), expected [N,H,W,C]"), std::string::npos);
}

TEST_F(Dataset, TheWriterLaysEpisodesEndToEnd) {
  const auto make = [](int length, int shade) {
    return Episode{torch::full({length, 2, 2, 3}, shade, torch::kByte),
                   torch::full({length}, 2, torch::kLong), torch::full({length}, -1, torch::kFloat)};
  };
  Harness writer("npy_writer", "{folder: " + (folder / "set").string() + "}");
  writer.start();
  writer.run<>(0, make(3, 7));
  EXPECT_THROW(writer.run<>(1, Episode{torch::zeros({1, 2, 2, 1}, torch::kByte),
                                       torch::zeros({1}, torch::kLong), torch::zeros({1})}),
               graph::Error);
  writer.run<>(1, make(2, 9));
  writer.finish<>();
  const NpyFile frames(folder / "set/frames.npy"), actions(folder / "set/actions.npy"),
      rewards(folder / "set/rewards.npy");
  EXPECT_EQ(frames.shape(), (std::vector<std::int64_t>{5, 2, 2, 3}));
  EXPECT_EQ(frames.dtype(), "|u1");
  EXPECT_EQ(static_cast<int>(frames.data()[3 * 12 - 1]), 7);
  EXPECT_EQ(static_cast<int>(frames.data()[3 * 12]), 9);
  EXPECT_EQ(actions.dtype(), "<i8");
  EXPECT_EQ(actions.shape(), std::vector<std::int64_t>{5});
  EXPECT_EQ(actions.integer(4), 2);
  EXPECT_EQ(rewards.dtype(), "<f4");
  EXPECT_EQ(rewards.shape(), std::vector<std::int64_t>{5});

  // A second one does not go over the first.
  EXPECT_THROW(Harness("npy_writer", "{folder: " + (folder / "set").string() + "}").start(), graph::Error);
  EXPECT_EQ(refusal(folder / "set/frames.npy"), "");
}

TEST_F(Dataset, AWriterThatIsStoppedBeforeItsEndLeavesNoDataset) {
  Harness writer("npy_writer", "{folder: " + (folder / "set").string() + "}", "{}", &run);
  writer.start();
  writer.run<>(0, Episode{torch::zeros({4, 2, 2, 3}, torch::kByte), torch::zeros({4}, torch::kLong),
                          torch::zeros({4})});
  run.stop();
  writer.finish<>();
  EXPECT_TRUE(fs::is_empty(folder / "set"));
}

TEST_F(Dataset, AWriterWithoutAnEndKeepsWhatCameUntilItWasStopped) {
  run.length = 0;
  Harness writer("npy_writer", "{}", "{}", &run);
  writer.start();
  writer.run<>(0, Episode{torch::zeros({4, 2, 2, 3}, torch::kByte), torch::zeros({4}, torch::kLong),
                          torch::zeros({4})});
  run.stop();
  writer.finish<>();
  EXPECT_EQ(NpyFile(folder / "frames.npy").shape()[0], 4);
}

}  // namespace
