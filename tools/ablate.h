// ablate: a study of this project, for the verbs that look at one.
#pragma once

#include <filesystem>

#include "tools/study/plan.h"

namespace tools {

/// The cells of a study, each checked as a run would check it. Throws graph::Error with what is wrong.
study::Plan plan_of(const study::Study& study);

}  // namespace tools
