// known_figures: the list.
#include "tools/study/known_figures.h"

#include <algorithm>

namespace study {

const std::vector<KnownFigure>& known_figures() {
  static const std::vector<KnownFigure> all = [] {
    struct Group {
      std::string name;
      std::vector<std::string> parts;  // none: a number by itself
      bool higher_is_better;
    };
    const std::vector<Group> groups{{"psnr_db", {"1", "10", "30", "120"}, true},
                                    {"control_accuracy", {"early", "late"}, true},
                                    {"paddle_error_px", {"early", "late"}, false},
                                    {"action_delay_frames", {}, false},
                                    {"ball_error_px", {"5", "10", "20", "30"}, false},
                                    {"one_ball", {"early", "late"}, true},
                                    {"bounce_accuracy", {}, true},
                                    {"serve_accuracy", {}, true},
                                    {"stable_frames", {}, true},
                                    {"frames_per_second", {"1", "4", "16", "64"}, true},
                                    {"latency_ms", {"p50", "p99"}, false},
                                    {"evaluations_per_frame", {}, false},
                                    {"val_loss", {}, false}};
    std::vector<KnownFigure> figures;
    for (const auto& group : groups) {
      if (group.parts.empty()) figures.push_back({group.name, group.higher_is_better});
      for (const auto& part : group.parts)
        figures.push_back({group.name + "." + part, group.higher_is_better});
    }
    return figures;
  }();
  return all;
}

bool higher_is_better(const std::string& name) {
  return std::ranges::find(known_figures(), name, &KnownFigure::name)->higher_is_better;
}

std::optional<double> number_in(const stages::Figures& figures, const std::string& name) {
  const auto dot = name.find('.');
  auto found = figures.find(name.substr(0, dot));
  if (found == figures.end()) return std::nullopt;
  if (dot != std::string::npos) {
    const auto& parts = *found;
    found = parts.find(name.substr(dot + 1));
    if (found == parts.end()) return std::nullopt;
  }
  return found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

}  // namespace study
