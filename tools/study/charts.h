// charts: what of a study is seen best in a picture.
#pragma once

#include <string>
#include <vector>

#include "tools/study/conduct.h"
#include "tools/study/plot.h"
#include "tools/study/study.h"

namespace study {

struct Chart {
  std::string name;  // of its files, without an ending
  Plot plot;
};

/// Those for which something was measured: each figure of the report against the network's evaluations a frame, where
/// they vary, with whiskers of a standard deviation; of training runs, means over the seeds: the loss by step, and
/// the last validation's by noise level, from their metrics.jsonl.
std::vector<Chart> charts(const Study& study, const Plan& plan, const std::vector<Result>& results,
                          const Folders& folders);

}  // namespace study
