// report: what came of a study, as a table for programs and a page for people.
#pragma once

#include <string>
#include <vector>

#include "tools/study/conduct.h"
#include "tools/study/spread.h"
#include "tools/study/study.h"

namespace study {

/// What the seeds of a combination gave for a figure; `cells` as of combinations().
Spread spread_of(const std::vector<Result>& results, const std::vector<std::size_t>& cells,
                 const std::string& figure);

/// CSV (RFC 4180) with a line for each cell: the cell, the axes, seed, status, every known figure (empty where it was
/// not measured), and the seconds of training and measuring.
std::string csv(const Plan& plan, const std::vector<Result>& results);

/// Markdown: a line for each combination, with mean and deviation over the seeds, the best ones bold; what of the
/// differences can be more than chance; what failed. `charts` are files beside it.
std::string report(const Study& study, const Plan& plan, const std::vector<Result>& results,
                   const std::vector<std::string>& charts);

}  // namespace study
