// verify: compares this network's numbers with a reference's.
#include "stages/model/verify.h"

#include <cstdio>
#include <memory>

#include "graph/error.h"
#include "tools/verbs.h"

namespace tools {

void add_verify(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("verify", "recompute the reference's numbers and compare");
  auto path = std::make_shared<std::filesystem::path>();
  command
      ->add_option("path", *path,
                   "a folder like tests/golden/rope, or a file like tests/golden/schedules.json")
      ->required();
  command->callback([path, &chosen] {
    chosen = [path] {
      if (!std::filesystem::exists(*path))
        throw graph::Error(path->generic_string() + ": no such file or folder");
      int groups = 0, apart = 0;
      model::verify(*path, [&](const model::Agreement& group) {
        using Judged = model::Agreement::Judged;
        if (groups++ == 0) std::printf("%-28s %9s %9s  %-18s\n", "", "absolute", "relative", "tolerance");
        std::printf("%-28s %9.1e %9.1e  ", group.group.c_str(), group.absolute, group.relative);
        if (group.judged == Judged::nothing)
          std::printf("not judged\n");
        else
          std::printf("%.1e %-9s %s (%s: %.1e)\n", group.tolerance,
                      group.judged == Judged::absolute ? "absolute" : "relative",
                      group.holds() ? "agrees" : "DISAGREES", group.worst.c_str(), group.difference);
        std::fflush(stdout);
        apart += !group.holds();
      });
      if (apart == 0) return 0;
      std::printf("%d of %d groups disagree\n", apart, groups);
      return 1;
    };
  });
}

}  // namespace tools
