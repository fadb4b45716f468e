// plugin_test: what is no plugin of this program is refused where it is named, and before it is loaded.
#include "graph/plugin.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "graph/pipeline.h"
#include "graph/stage_type.h"
#include "tests/folder.h"

namespace tests {
namespace {

// Each problem's place and the beginning of its text.
void expect_problems(const graph::Request& request, const std::vector<std::string>& expected) {
  try {
    graph::load(request);
    ADD_FAILURE() << "nothing was refused";
  } catch (const graph::Error& error) {
    const auto& problems = error.problems();
    ASSERT_EQ(problems.size(), expected.size()) << error.what();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto place = problems[i].place;
      const auto at =
          place.line > 0 ? std::to_string(place.line) + ":" + std::to_string(place.column) : place.file;
      EXPECT_TRUE((at + ": " + problems[i].text).starts_with(expected[i])) << at << ": " << problems[i].text;
    }
  }
}

const std::string stages =
    "stages:\n"
    "  a: {type: numbers}\n"
    "  z: {type: collect, from: a}\n";

TEST(Plugins, that_are_none_are_refused_where_they_are_named) {
  const std::string elf =
      "\x7f"
      "ELF ";
  const Folder folder;
  folder.write("text.so", "worldline-plugin-abi:0.0.1");
  folder.write("other.so", elf + "of somebody else");
  folder.write("old.so", elf + "worldline-plugin-abi:0.0.1/GNU-9" + std::string(1, '\0') + "and more");
  folder.write("below/x.so", "");
  const auto file =
      folder.write("p.yaml", "plugins: [no.so, below, text.so, other.so, old.so, ./old.so, {}]\n" + stages);
  expect_problems({.file = file},
                  {"1:11: plugin 'no.so': no such file", "1:18: plugin 'below': not a file",
                   "1:25: plugin 'text.so': not a shared object",
                   "1:34: plugin 'other.so': not a plugin of worldline; expected one that",
                   "1:44: plugin 'old.so': built for worldline 0.0.1/GNU-9, and this is ",
                   "1:52: plugin './old.so': is listed twice", "1:62: expected a file name, got a map"});
}

TEST(Plugins, of_an_override_count_instead_and_configs_have_none) {
  const Folder folder;
  const auto file = folder.write("p.yaml", "plugins: [no.so]\n" + stages);
  expect_problems({.file = file, .overrides = {"plugins=[a.so]", "plugins=[b.so, c.so]"}},
                  {"--set plugins=[b.so, c.so]: plugin 'b.so': no such file",
                   "--set plugins=[b.so, c.so]: plugin 'c.so': no such file"});
  expect_problems({.file = file, .overrides = {"plugins=b.so"}},
                  {"--set plugins=b.so: 'plugins' must be a list of files, got 'b.so'"});
  const auto none = graph::load({.file = file, .overrides = {"plugins=[]"}});
  EXPECT_TRUE(none.merged.find("plugins")->items.empty());
  const auto config = folder.write("config.yaml", "plugins: [no.so]\n");
  expect_problems({.file = file, .configs = {config}, .overrides = {"plugins=[]"}},
                  {"1:10: 'plugins' belongs to a pipeline's top level, not into what is laid over it"});
}

TEST(Plugins, register_beside_the_registries_at_first) {
  const auto arrived = graph::registrations_during([] {
    graph::add_stage_type({.name = "numbers"});
    graph::add_stage_type({.name = "arriving"});
    graph::add_block({.name = "arriving"});
  });
  EXPECT_EQ(arrived.stage_types.size(), 2u);
  EXPECT_EQ(arrived.blocks.size(), 1u);
  EXPECT_FALSE(graph::stage_types().contains("arriving"));
  EXPECT_FALSE(graph::blocks().contains("arriving"));
}

}  // namespace
}  // namespace tests
