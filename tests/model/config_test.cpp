// config_test: what a config accepts and what it says when it does not.
#include "stages/model/config.h"

#include <gtest/gtest.h>

#include "tests/model/golden.h"

namespace {

using golden::refusal;
using model::Config;

TEST(Config, SurvivesTheTripThroughJson) {
  Config config;
  config.n_window = 16;
  config.rope_type = "vid";
  config.n_heads = 10;
  config.bidirectional = true;
  config.predicts = "data";
  config.n_past_actions = 3;
  config.background = "zero";
  EXPECT_EQ(Config::from_json(config.to_json()), config);
}

TEST(Config, ReadsTheReferencesFile) {
  const Config config =
      Config::from_json(golden::text_of(std::filesystem::path(GOLDEN_DIR) / "rope/config.json"));
  EXPECT_EQ(config.d_model, 64);
  EXPECT_EQ(config.tokens(), 17);
  EXPECT_EQ(config.patch_dim(), 108);
  EXPECT_EQ(config.stem, "conv");
  EXPECT_EQ(config.background, "linear");
}

TEST(Config, DefaultsAreTheReferences) {
  const Config config = Config::from_json("{}");
  EXPECT_EQ(config, Config{});
  EXPECT_EQ(config.tokens(), 65);
  EXPECT_EQ(config.d_head(), 16);
}

TEST(Config, DerivedTokensAreAcceptedWhereTrue) {
  EXPECT_EQ(Config::from_json(R"({"toks_per_frame": 65})"), Config{});
  EXPECT_NE(refusal<std::invalid_argument>([] {
              Config::from_json(R"({"toks_per_frame": 64})");
            }).find("expected 65"),
            std::string::npos);
}

TEST(Config, RefusalsNameTheKeyTheValueAndWhatWasExpected) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"patch_size": 5})", "height is 24, expected a multiple of patch_size (5)"},
      {R"({"d_models": 5})", "unknown key 'd_models'"},
      {R"({"d_model": "320"})", "d_model is \"320\", expected an integer"},
      {R"({"bidirectional": 1})", "bidirectional is 1, expected true or false"},
      {R"({"rope_type": "spiral"})", "rope_type is 'spiral', expected rope | vid | learn"},
      {R"({"rope_type": "vid"})", "is 16, expected a number whose third"},
      {R"({"d_model": 96, "n_heads": 4})", "d_model is 96, expected a multiple of 64"},
      {R"({"n_heads": 7})", "d_model is 320, expected a multiple of n_heads (7)"},
      {R"({"n_heads": 64})", "d_model / n_heads is 5, expected an even number"},
      {R"({"background": "black"})", "background is 'black', expected linear | zero"},
      {R"({"background": "zero", "in_channels": 1})", "in_channels is 1, expected 3"},
      {R"({"n_blocks": 1000000000000})", "n_blocks is 1000000000000, expected 1 to"},
      {R"({"n_window": 4, "n_past_actions": 4})", "n_past_actions is 4, expected 0 to 3"},
      {R"({"n_window": 0})", "n_window is 0, expected 1 to"},
      {"[1]", "expected a JSON object"},
      {"{", "not JSON"},
  };
  for (const auto& [json, expected] : cases) {
    const std::string text = refusal<std::invalid_argument>([&] { Config::from_json(json); });
    EXPECT_NE(text.find(expected), std::string::npos) << json << " → " << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
}

TEST(Config, WidthsThatTheConvolutionalStemRefusesSuitTheLinearOne) {
  EXPECT_NO_THROW(Config::from_json(R"({"d_model": 96, "n_heads": 4, "stem": "linear"})"));
}

}  // namespace
