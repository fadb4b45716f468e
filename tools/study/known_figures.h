// known_figures: what a study can report of a cell, and which way is better.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stages/eval/figures.h"

namespace study {

/// A number that `run eval` measures, "psnr_db.10" for that of frame 10; or val_loss, which training does.
struct KnownFigure {
  std::string name;
  bool higher_is_better;
};

const std::vector<KnownFigure>& known_figures();

/// Of a name that is known.
bool higher_is_better(const std::string& name);

/// The number under "psnr_db.10"; nothing where it is missing or could not be measured.
std::optional<double> number_in(const stages::Figures& figures, const std::string& name);

}  // namespace study
