// python_checkpoint_test: what torch.save wrote is read, and what it did not write is refused.
#include "stages/model/python_checkpoint.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <functional>

#include "tests/folder.h"
#include "tests/model/golden.h"

namespace {

using golden::refusal;
using golden::zip;
using model::Config;
using model::Parameters;
using tests::Folder;

const std::filesystem::path rope = std::filesystem::path(GOLDEN_DIR) / "rope";

Config rope_config() { return Config::from_json(golden::text_of(rope / "config.json")); }

std::string text(const std::string& value) {
  return "X" + std::string{static_cast<char>(value.size()), 0, 0, 0} + value;
}

TEST(PythonCheckpoint, StateDictIsRead) {
  const Parameters weights = model::load_python(rope / "model.pt", rope_config());
  EXPECT_EQ(weights.size(), 51u);
  EXPECT_EQ(weights.names.front(), "registers");
  EXPECT_EQ(weights.at("patch.init_conv_seq.3.weight").sizes(), at::IntArrayRef({32, 32, 5, 5}));
}

TEST(PythonCheckpoint, OfAnotherConfigIsRefusedWithAList) {
  Config config = rope_config();
  config.n_blocks = 3;
  config.patch_size = 4;
  const std::string what =
      refusal<std::runtime_error>([&] { model::load_python(rope / "model.pt", config); });
  EXPECT_NE(what.find("missing: blocks.2.norm1.w"), std::string::npos) << what;
  EXPECT_NE(what.find("unpatch.unpatch.bias is [108] instead of [48]"), std::string::npos) << what;
  EXPECT_EQ(what.find('\n'), std::string::npos) << what;
}

// Its tables and positions follow from the config that it was trained with.
TEST(PythonCheckpoint, OfAnotherConfigWithTheSameParametersIsRefused) {
  const auto refusal_of = [](const std::string& name, const std::function<void(Config&)>& change) {
    const auto folder = std::filesystem::path(GOLDEN_DIR) / name;
    Config config = Config::from_json(golden::text_of(folder / "config.json"));
    EXPECT_NO_THROW(model::load_python(folder / "model.pt", config)) << name;
    change(config);
    return refusal<std::runtime_error>([&] { model::load_python(folder / "model.pt", config); });
  };
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(refusal_of("rope", [](Config& config) { config.n_window = 5; }),
      "mask is [68, 68] instead of [85, 85]");
  has(refusal_of("rope", [](Config& config) { config.T = 100; }),
      "time_emb.pe is [1000, 64] instead of [100, 64]");
  has(refusal_of("rope", [](Config& config) { config.C = 10000; }), "another C than 10000");
  has(refusal_of("rope", [](Config& config) { config.bidirectional = true; }), "too many: mask");
  has(refusal_of("vid", [](Config& config) { config.C = 10000; }), "another C than 10000");
  has(refusal_of("vid", [](Config& config) { config.rope_type = "rope"; }),
      "too many: blocks.0.selfattn.rope.coss_t");
}

// {'model': {'_orig_mod.norm.w': tensor of storage '0'}, 'optimizer': some_class(), 'step': 7}
TEST(PythonCheckpoint, TrainingCheckpointsOfCompiledModelsAreRead) {
  const std::string storage =
      "(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "K\x40tQ";
  const std::string tensor = "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + std::string("K\0", 2) +
                             "K\x40\x85" + "K\1\x85" + "\x89" + "ccollections\nOrderedDict\n)RtR";
  const std::string pickle = "\x80\2}(" + text("model") + "}" + text("_orig_mod.norm.w") + tensor + "s" +
                             text("optimizer") + "cos\nsystem\n" + text("touch /tmp/owned") + "\x85R" +
                             text("step") + "K\7u.";
  const Folder folder;
  folder.write("c.pt", zip({{"c/data.pkl", pickle}, {"c/data/0", std::string(256, '\0')}}));
  const std::string what =
      refusal<std::runtime_error>([&] { model::load_python(folder / "c.pt", rope_config()); });
  // norm.w is there, all others are not, and what the pickle wanted to call was not called.
  EXPECT_NE(what.find("missing: registers"), std::string::npos) << what;
  EXPECT_EQ(what.find("too many"), std::string::npos) << what;
  EXPECT_NE(what.find("and 42 more"), std::string::npos) << what;
  EXPECT_FALSE(std::filesystem::exists("/tmp/owned"));
}

TEST(PythonCheckpoint, HostileFilesEndInOneClearLine) {
  const std::string storage =
      "(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "K\x40tQ";
  const auto tensor = [&](const std::string& offset, const std::string& size, const std::string& stride) {
    return "\x80\2}" + text("norm.w") + "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + size +
           "\x85" + stride + "\x85" + "\x89}tRs.";
  };
  const auto file = [](const std::string& pickle) {
    return zip({{"c/data.pkl", pickle}, {"c/data/0", std::string(256, 'x')}});
  };
  const auto tensor_of = [&](const std::string& type) {
    return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + type + "\n" + text("0") +
           text("cpu") + "K\x40tQ" + std::string("K\0", 2) + "K\x40\x85K\1\x85\x89}tR";
  };
  const std::string huge("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", 10), zero("K\0", 2);
  const std::pair<std::string, const char*> corpus[] = {
      {"", "no zip"},
      {"PK\5\6", "cut off"},
      {zip({}), "no data.pkl"},
      {file(""), "cut off"},
      {file("."), "broken pickle"},
      {file("}."), "no state dict"},
      {file("K\1."), "no state dict"},
      {file("\xfe"), "opcode 254"},
      {file("h\1."), "broken pickle"},
      {file("s."), "broken pickle"},
      {file("X\xff\xff\xff\xff."), "cut off"},
      {file("(" + text("storage") + "ctorch\nFloatStorage\n" + text("9") + "tQ."),
       "numbers of a tensor are missing"},
      {file(tensor(zero, "K\x41", "K\1")), "reaches beyond its storage"},
      {file(tensor("K\1", "K\x40", "K\1")), "reaches beyond its storage"},
      {file(tensor(zero, "K\x40", "K\2")), "reaches beyond its storage"},
      {file(tensor(zero, huge, "K\1")), "reaches beyond its storage"},
      {file(tensor(zero, "K\2", huge)), "reaches beyond its storage"},
      {file(tensor(huge, "K\1", "K\1")), "reaches beyond its storage"},
      {file(tensor(zero, "J\xff\xff\xff\xff", "K\1")), "reaches beyond its storage"},
      {file(tensor(zero, std::string("M\0\1", 3), zero)), "reaches beyond its storage"},
      {file(std::string(90'000, ']') + std::string(89'999, 'a') + "."), "no state dict"},
      {zip({{"c/data.pkl", "\x80\2}" + text("a") + tensor_of("FloatStorage") + "s" + text("b") +
                               tensor_of("HalfStorage") + "s."},
            {"c/data/0", std::string(4000, 'x')}}),
       "hold more than the file"},
      {"\x80\2\x8a\x0a.", "torch before 1.6"},
      {file(std::string(1'000'000, ']') + "."), "more objects than weights have"},
      {file(std::string(2'500'000, '0')), "data.pkl is too long"},
  };
  const Folder folder;
  for (const auto& [bytes, expected] : corpus) {
    folder.write("hostile.pt", bytes);
    const std::string what =
        refusal<std::runtime_error>([&] { model::load_python(folder / "hostile.pt", rope_config()); });
    EXPECT_NE(what.find(expected), std::string::npos) << what << " instead of " << expected;
    EXPECT_NE(what.find("hostile.pt: "), std::string::npos) << what;
    EXPECT_EQ(what.find('\n'), std::string::npos) << what;
  }
  EXPECT_THROW(model::load_python(folder / "missing.pt", rope_config()), std::runtime_error);
}

TEST(PythonCheckpoint, TruncatedAndFlippedFilesNeverCrash) {
  const std::string bytes = golden::text_of(rope / "model.pt");
  const Folder folder;
  const auto try_to_load = [&](const std::string& changed) {
    folder.write("changed.pt", changed);
    try {
      model::load_python(folder / "changed.pt", rope_config());
    } catch (const std::runtime_error&) {
    }
  };
  for (std::size_t i = 1; i < 20; ++i) try_to_load(bytes.substr(0, bytes.size() * i / 20));
  // The pickle comes first in the file, the directory last.
  for (std::size_t i = 0; i < 8200; i += 97) {
    for (const std::size_t at : {i, bytes.size() - 1 - i / 2}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ 0x15);
      try_to_load(changed);
    }
  }
}

}  // namespace
