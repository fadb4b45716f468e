// resume_file: reads the facts beside a training state.
#include "stages/train/resume_file.h"

#include <charconv>
#include <map>
#include <stdexcept>
#include <string>

#include "stages/model/safetensors.h"

namespace stages {

namespace {

constexpr std::uint64_t most_steps = std::uint64_t{1} << 48;
constexpr double most_seconds = 1e9;  // thirty years

}  // namespace

std::filesystem::path resume_file(const std::filesystem::path& run_folder) {
  return run_folder / "checkpoints" / "resume.safetensors";
}

Reached reached(const std::filesystem::path& run_folder) {
  const auto path = resume_file(run_folder);
  if (!std::filesystem::exists(path)) return {};
  const auto facts = model::read_metadata(path);
  const auto read = [&](const char* key, auto& number) {
    const auto fact = facts.find(key);
    const auto text = fact == facts.end() ? std::string() : fact->second;
    const auto* end = text.data() + text.size();
    if (const auto [at, code] = std::from_chars(text.data(), end, number);
        text.empty() || code != std::errc{} || at != end || !(number >= 0))
      throw std::runtime_error(path.string() + ": its " + key + " is '" + text +
                               "', expected the state of a training run");
  };
  Reached all;
  read("step", all.step);
  read("seconds", all.seconds);
  if (all.step > most_steps || !(all.seconds < most_seconds))
    throw std::runtime_error(path.string() +
                             ": its step or seconds are out of range, expected the state of a "
                             "training run");
  return all;
}

bool is_done(const Reached& reached, const graph::Stop& stop) {
  return (stop.steps && reached.step >= *stop.steps) ||
         (stop.minutes && reached.seconds >= 60 * *stop.minutes);
}

}  // namespace stages
