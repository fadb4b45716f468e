// schedule: prints the noise levels that a denoiser passes through.
#include "stages/model/schedule.h"

#include <cstdio>
#include <memory>

#include "graph/error.h"
#include "tools/verbs.h"

namespace tools {

void add_schedule(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("schedule", "print the noise levels of a frame's steps");
  auto schedule = std::make_shared<model::Schedule>();
  auto steps = std::make_shared<int>(4);
  command->add_option("name", schedule->schedule, "as a denoiser's `schedule`")
      ->required()
      ->check(CLI::IsMember(model::schedules()));
  command->add_option("--steps", *steps, "from noise to data; custom has its own")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command
      ->add_option("--shift", schedule->shift,
                   "of shifted_linear and sd3: above 1 spends more steps near noise")
      ->capture_default_str();
  command->add_option("--spacing", schedule->spacing, "of sd3")
      ->capture_default_str()
      ->check(CLI::IsMember(model::spacings()));
  command->add_option("--terminal", schedule->terminal, "of sd3: the last level above 0; 0: as it comes")
      ->capture_default_str();
  command->add_option("--rho", schedule->rho, "of karras: above 1 spends more steps near data")
      ->capture_default_str();
  command->add_option("--levels", schedule->levels, "of custom: all of them, as 1,0.75,0.4,0")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->callback([schedule, steps, &chosen] {
    chosen = [schedule, steps] {
      std::vector<double> levels;
      try {
        levels = model::noise_levels(*schedule, *steps);
      } catch (const std::invalid_argument& error) {
        throw graph::Error(error.what());
      }
      std::printf("%4s %10s %10s\n", "step", "level", "to next");
      for (std::size_t i = 0; i < levels.size(); ++i) {
        std::printf("%4zu %10.6f", i, levels[i]);
        if (i + 1 < levels.size()) std::printf(" %10.6f", levels[i] - levels[i + 1]);
        std::printf("\n");
      }
      return 0;
    };
  });
}

}  // namespace tools
