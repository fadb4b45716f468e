// find_checkpoint: files, run folders, and help for those who have neither.
#include "stages/find_checkpoint.h"

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
  const auto folder = fs::path(given) / "checkpoints";
  if (fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder)) {
      const auto name = entry.path().filename().string();
      // The step stands in the name with leading zeros, so the last name is the newest step.
      if (name.starts_with("step-") && name.ends_with(".safetensors") &&
          (newest.empty() || std::pair(name.size(), name) >
                                 std::pair(newest.filename().string().size(), newest.filename().string())))
        newest = entry.path();
    }
  if (newest.empty())
    throw graph::Error(parameter + " '" + given + "': the run has no checkpoints/step-*.safetensors yet");
  return newest;
}

}  // namespace stages
