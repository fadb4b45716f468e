// check: reads pipelines and studies and says all that is wrong with them, starting nothing.
#include <iostream>
#include <memory>

#include "graph/pipeline.h"
#include "tools/ablate.h"
#include "tools/taps.h"
#include "tools/verbs.h"

namespace tools {

void add_check(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("check", "check pipelines and studies without starting them");
  auto files = std::make_shared<std::vector<std::filesystem::path>>();
  command->add_option("files", *files, "pipelines and studies to check")->required();
  command->callback([files, &chosen] {
    chosen = [files] {
      int code = 0;
      for (const auto& file : *files) {
        try {
          if (study::is_study(file)) {
            const auto plan = plan_of(study::read(file));
            std::cout << file.generic_string() << ": fine, " << plan.cells.size() << " cells\n";
            continue;
          }
          // Its form without a display is a pipeline of its own.
          const auto pipeline = graph::load({.file = file, .expand = expand_taps});
          if (graph::has_headless(file)) graph::load({.file = file, .headless = true, .expand = expand_taps});
          std::cout << file.generic_string() << ": fine, " << pipeline.stages.size() << " stages\n";
        } catch (const graph::Error& error) {
          std::cerr << error.what() << '\n';
          code = 2;
        }
      }
      return code;
    };
  });
}

}  // namespace tools
