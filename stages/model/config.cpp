// config: the sizes and choices that make a network, and their JSON form.
#include "stages/model/config.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace model {
namespace {

using Json = nlohmann::ordered_json;

// Calls visit(key, member) for every key, in the order of the header.
template <class SomeConfig, class Visitor>
void for_each_key(SomeConfig& config, Visitor visit) {
  visit("n_window", config.n_window);
  visit("patch_size", config.patch_size);
  visit("n_heads", config.n_heads);
  visit("d_model", config.d_model);
  visit("n_blocks", config.n_blocks);
  visit("C", config.C);
  visit("rope_type", config.rope_type);
  visit("bidirectional", config.bidirectional);
  visit("height", config.height);
  visit("width", config.width);
  visit("T", config.T);
  visit("in_channels", config.in_channels);
  visit("n_registers", config.n_registers);
  visit("n_actions", config.n_actions);
  visit("n_past_actions", config.n_past_actions);
  visit("expansion", config.expansion);
  visit("stem", config.stem);
  visit("predicts", config.predicts);
  visit("init", config.init);
  visit("background", config.background);
}

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument("model config: " + what); }

void in_range(const char* key, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) {
    refuse(std::string(key) + " is " + std::to_string(value) + ", expected " + std::to_string(low) + " to " +
           std::to_string(high));
  }
}

void one_of(const char* key, const std::string& value, std::initializer_list<const char*> choices) {
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  std::string expected;
  for (const char* choice : choices) expected += (expected.empty() ? "" : " | ") + std::string(choice);
  refuse(std::string(key) + " is '" + value + "', expected " + expected);
}

void multiple_of(const char* key, std::int64_t value, const char* of_key, std::int64_t of) {
  if (value % of != 0) {
    refuse(std::string(key) + " is " + std::to_string(value) + ", expected a multiple of " + of_key + " (" +
           std::to_string(of) + ")");
  }
}

void read(const Json& json, const char* key, std::int64_t& member) {
  if (!json.is_number_integer()) refuse(std::string(key) + " is " + json.dump() + ", expected an integer");
  member = json.get<std::int64_t>();
}

void read(const Json& json, const char* key, bool& member) {
  if (!json.is_boolean()) refuse(std::string(key) + " is " + json.dump() + ", expected true or false");
  member = json.get<bool>();
}

void read(const Json& json, const char* key, std::string& member) {
  if (!json.is_string()) refuse(std::string(key) + " is " + json.dump() + ", expected a string");
  member = json.get<std::string>();
}

}  // namespace

void Config::check() const {
  // The upper bounds keep a hostile file from asking for a network that no machine can hold.
  in_range("n_window", n_window, 1, 100'000);
  in_range("patch_size", patch_size, 1, 1'000);
  in_range("n_heads", n_heads, 1, 10'000);
  in_range("d_model", d_model, 2, 100'000);
  in_range("n_blocks", n_blocks, 1, 1'000);
  in_range("C", C, 3, 1'000'000'000);
  in_range("height", height, 1, 10'000);
  in_range("width", width, 1, 10'000);
  in_range("T", T, 1, 1'000'000);
  in_range("in_channels", in_channels, 1, 1'000);
  in_range("n_registers", n_registers, 0, 1'000);
  in_range("n_actions", n_actions, 1, 1'000'000);
  in_range("n_past_actions", n_past_actions, 0, n_window - 1);
  in_range("expansion", expansion, 1, 100);
  one_of("rope_type", rope_type, {"rope", "vid", "learn"});
  one_of("stem", stem, {"conv", "linear"});
  one_of("predicts", predicts, {"velocity", "data"});
  one_of("init", init, {"reference", "zero_gates"});
  one_of("background", background, {"linear", "zero"});
  multiple_of("height", height, "patch_size", patch_size);
  multiple_of("width", width, "patch_size", patch_size);
  multiple_of("d_model", d_model, "n_heads", n_heads);
  if (d_head() % 2 != 0) {
    refuse("d_model / n_heads is " + std::to_string(d_head()) + ", expected an even number (rotary pairs)");
  }
  if (background == "zero" && in_channels != 3) {
    refuse("in_channels is " + std::to_string(in_channels) +
           ", expected 3 (background zero is the colour (6,24,24))");
  }
  if (rope_type == "vid" && (d_head() / 3 == 0 || d_head() / 3 % 2 != 0)) {
    refuse("d_model / n_heads is " + std::to_string(d_head()) +
           ", expected a number whose third, rounded down, is even (rope_type vid rotates column, row and "
           "frame)");
  }
  if (stem == "conv" && d_model > 32 && d_model % 32 == 0 && d_model % 64 != 0) {
    refuse("d_model is " + std::to_string(d_model) +
           ", expected a multiple of 64 (stem conv normalises half of it in 32 groups); use 64, 128 … or "
           "stem linear");
  }
}

std::string Config::to_json() const {
  Json json = Json::object();
  for_each_key(*this, [&](const char* key, const auto& member) { json[key] = member; });
  return json.dump();
}

Config Config::from_json(std::string_view text) { return from_json(text, {}); }

Config Config::from_json(std::string_view text, Config config) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {
    refuse(std::string("not JSON: ") + error.what());
  }
  if (!json.is_object()) refuse("expected a JSON object");
  for_each_key(config, [&](const char* key, auto& member) {
    if (const auto found = json.find(key); found != json.end()) {
      read(*found, key, member);
      json.erase(found);
    }
  });
  config.check();
  if (const auto derived = json.find("toks_per_frame"); derived != json.end()) {
    std::int64_t tokens = 0;
    read(*derived, "toks_per_frame", tokens);
    if (tokens != config.tokens()) {
      refuse("toks_per_frame is " + std::to_string(tokens) + ", expected " + std::to_string(config.tokens()));
    }
    json.erase(derived);
  }
  if (!json.empty()) {
    std::string known;
    for_each_key(config, [&](const char* key, const auto&) {
      known += (known.empty() ? "" : ", ") + std::string(key);
    });
    refuse("unknown key '" + json.begin().key() + "'; there are " + known);
  }
  return config;
}

}  // namespace model
