// find_checkpoint: files, run folders, and help for those who have neither.
#include "stages/find_checkpoint.h"

#include <charconv>
#include <string_view>

#include "graph/error.h"

namespace stages {

namespace fs = std::filesystem;

fs::path find_checkpoint(const std::string& given, const std::string& parameter) {
  if (given.empty())
    throw graph::Error(
        "no checkpoint: train one (./run pipelines/train.yaml), then name its run or a file (--set " +
        parameter + "=experiments/NAME)");
  if (fs::is_regular_file(given)) return given;
  if (!fs::is_directory(given))
    throw graph::Error(parameter + " '" + given + "': no such file or run folder");
  fs::path newest;
  std::int64_t newest_step = -1;
  const auto folder = fs::path(given) / "checkpoints";
  if (fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder))
      if (const auto step = checkpoint_step(entry.path().filename().string()); step && *step > newest_step) {
        newest = entry.path();
        newest_step = *step;
      }
  if (newest.empty())
    throw graph::Error(parameter + " '" + given + "': the run has no checkpoints/step-*.safetensors yet");
  return newest;
}

std::optional<std::int64_t> checkpoint_step(const std::string& name) {
  constexpr std::string_view before = "step-", after = ".safetensors";
  if (!name.starts_with(before) || !name.ends_with(after) || name.size() <= before.size() + after.size())
    return std::nullopt;
  const auto* end = name.data() + name.size() - after.size();
  std::int64_t step = 0;
  const auto [at, code] = std::from_chars(name.data() + before.size(), end, step);
  return code == std::errc{} && at == end && step >= 0 ? std::optional(step) : std::nullopt;
}

}  // namespace stages
