// lab: studies in a folder of their own, planned on this project's pipelines.
#pragma once

#include <filesystem>
#include <string>

#include "tests/folder.h"
#include "tools/study/conduct.h"
#include "tools/study/plan.h"

namespace tests {

class Lab {
 public:
  Lab() { write("w.safetensors", "weights"); }

  std::filesystem::path write(const std::string& name, const std::string& text) const {
    return folder_.write(name, text);
  }
  study::Study read(const std::string& text) const { return study::read(write("s.yaml", text)); }
  study::Plan plan(const std::string& text) const {
    return study::plan(read(text), {.eval = PROJECT_DIR "/pipelines/eval.yaml",
                                    .quick = PROJECT_DIR "/configs/eval-quick.yaml"});
  }
  study::Folders folders() const { return {folder_ / "studies/s", folder_ / "studies/trained"}; }

 private:
  Folder folder_;
};

/// Four cells of a checkpoint, which need not be one.
inline constexpr const char* four_cells =
    "checkpoint: w.safetensors\n"
    "axes: {denoise.steps: [1, 2]}\n"
    "seeds: [0, 1]\n"
    "quick: true\n"
    "report: [psnr_db.10]\n";

/// A study that trains, with these axes.
inline std::string training(const std::string& axes, const std::string& budget = "{minutes: 10}") {
  return "pipeline: " PROJECT_DIR "/pipelines/train.yaml\naxes: " + axes + "\nbudget: " + budget +
         "\nreport: [psnr_db.10]\n";
}

}  // namespace tests
