// weights_file_test: a network on disk says what it is, and a foreign one what it is not.
#include "stages/model/weights_file.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "stages/model/torch_pickle.h"
#include "tests/folder.h"
#include "tests/model/golden.h"

namespace {

using golden::refusal;
using model::Config;
using model::Mmdit;
using model::Parameters;
using tests::Folder;

Config small() {
  Config config;
  config.stem = "linear";
  config.patch_size = 6;
  config.d_model = 16;
  config.n_heads = 2;
  config.n_blocks = 1;
  config.rope_type = "learn";
  config.n_window = 3;
  return config;
}

TEST(WeightsFile, RoundTripIsBitExact) {
  const Folder folder;
  const Parameters weights = Mmdit(small()).initialise(11);
  model::save(folder / "w.safetensors", small(), weights, {{"step", "12"}});
  const model::WeightsFile file = model::load(folder / "w.safetensors");
  EXPECT_EQ(file.config, small());
  EXPECT_EQ(file.facts, (model::Facts{{"step", "12"}}));
  EXPECT_EQ(file.parameters.names, weights.names);
  for (std::size_t i = 0; i < weights.size(); ++i)
    EXPECT_TRUE(at::equal(file.parameters.tensors[i], weights.tensors[i]));
}

TEST(WeightsFile, AMismatchListsWhatIsMissingTooManyAndOfAnotherShape) {
  const Folder folder;
  Parameters weights = Mmdit(small()).initialise(11);
  weights.names[0] = "cash_registers";
  weights.tensors[3] = at::zeros({17});
  model::write_safetensors(folder / "w", {weights, {{"model", small().to_json()}}});
  const std::string text = refusal<std::runtime_error>([&] { model::load(folder / "w"); });
  EXPECT_NE(text.find("missing: registers;"), std::string::npos) << text;
  EXPECT_NE(text.find("too many: cash_registers;"), std::string::npos) << text;
  EXPECT_NE(text.find("of another shape: " + weights.names[3] + " is [17] instead of [16]"),
            std::string::npos)
      << text;
}

// The first byte of a safetensors file is that of its header's length, whatever other formats begin with.
TEST(WeightsFile, IsNotTakenForAPickleWhateverItsHeadersLength) {
  const Folder folder;
  std::string padding;
  for (int i = 0; i < 40; ++i, padding += "12345678") {
    model::save(folder / "w", small(), model::Mmdit(small()).initialise(1), {{"padding", padding}});
    EXPECT_FALSE(model::is_python(folder / "w")) << i;
  }
}

TEST(WeightsFile, FilesThatSayNothingOfAModelAreRefused) {
  const Folder folder;
  model::write_safetensors(folder / "w", {});
  EXPECT_NE(
      refusal<std::runtime_error>([&] { model::load(folder / "w"); }).find("no 'model' in its metadata"),
      std::string::npos);
  model::write_safetensors(folder / "w", {{}, {{"model", R"({"n_window": -1})"}}});
  EXPECT_NE(refusal<std::runtime_error>([&] { model::load(folder / "w"); }).find("n_window is -1"),
            std::string::npos);
}

TEST(WeightsFile, SavingOtherWeightsThanTheConfigsIsRefused) {
  const Folder folder;
  Config other = small();
  other.n_blocks = 2;
  const Parameters weights = Mmdit(small()).initialise(11);
  EXPECT_THROW(model::save(folder / "w", other, weights), std::invalid_argument);
  EXPECT_THROW(model::save(folder / "w", small(), weights, {{"model", "x"}}), std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(folder / "w"));
}

}  // namespace
