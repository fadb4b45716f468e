// harness_test: what tests of stages rely on.
#include "tests/harness.h"

#include <gtest/gtest.h>

#include "tests/graph/number_stages.h"

namespace tests {
namespace {

TEST(Harness, runs_a_stage_with_its_parameters) {
  Harness stage("scale", "{by: 3}");
  EXPECT_EQ(stage.run<Number>(0, Number{14})->value, 42);
}

TEST(Harness, decodes_as_strictly_as_a_pipeline) {
  try {
    Harness("scale", "{by: 010, sdt: 1}", "{seed: x, settings: {}}");
    FAIL();
  } catch (const graph::Error& error) {
    EXPECT_STREQ(error.what(),
                 "top:1:8: top level: 'seed': expected a natural number, got 'x'\n"
                 "top:1:11: stage type 'scale' does not read 'settings'\n"
                 "params:1:6: stage type 'scale': 'by': expected an integer, got '010'\n"
                 "params:1:11: stage type 'scale': unknown parameter 'sdt'; did you mean 'std'?");
  }
  EXPECT_THROW(Harness("scael"), graph::Error);
}

TEST(Harness, reads_shared_values_and_blocks) {
  Harness stage("wide", "{}", "{settings: {width: 5}}");
  EXPECT_EQ(stage.run<Number>(0, Number{2})->value, 10);
}

TEST(Harness, gives_several_outputs) {
  Harness stage("split");
  const auto [number, word] = stage.run<Number, Word>(3, Number{7});
  EXPECT_EQ(number->value, 7);
  EXPECT_EQ(word->text, "7");
}

TEST(Harness, gives_nothing_for_what_was_filtered) {
  Harness stage("keep_every", "{nth: 2}");
  EXPECT_FALSE(stage.run<Number>(0, Number{1}));
  EXPECT_TRUE(stage.run<Number>(1, Number{2}));
}

TEST(Harness, feeds_sampled_and_gathered_inputs) {
  Harness sample("sample");
  EXPECT_EQ(sample.run<Number>(0, Number{2}, Nothing{})->value, 1999);
  EXPECT_EQ(sample.run<Number>(1, Number{2}, Number{5})->value, 2005);
  Harness gather("gather");
  EXPECT_EQ(gather.run<Number>(0, Number{0}, Gathered<Number>{{{1}, {2}, {4}}})->value, 7);
}

TEST(Harness, runs_a_source_to_its_end) {
  Harness source("numbers", "{count: 2}");
  EXPECT_EQ(source.run<Number>(0)->value, 0);
  EXPECT_EQ(source.run<Number>(1)->value, 1);
  EXPECT_FALSE(source.run<Number>(2));
  EXPECT_TRUE(source.ended());
}

TEST(Harness, calls_hooks) {
  Harness loop("add_up");
  EXPECT_EQ(loop.start<Number>()->value, 100);
  Harness shown("show");
  EXPECT_EQ(shown.idle<Number>()->value, 1);
  shown.finish();
}

TEST(Harness, passes_any) {
  Harness pass("pass");
  const auto out = pass.run<graph::Any>(0, graph::Any::of(Word{"x"}));
  EXPECT_EQ(out->as<Word>().text, "x");
  EXPECT_EQ(pass.run<Word>(1, Word{"y"})->text, "y");
}

TEST(Harness, refuses_the_wrong_noun) {
  Harness stage("scale");
  EXPECT_THROW(stage.run<Number>(0, Word{"x"}), graph::Error);
  EXPECT_THROW(stage.run<Word>(0, Number{1}), graph::Error);
  EXPECT_THROW(stage.run<Number>(0), graph::Error);
}

TEST(Harness, changes_live_parameters) {
  Harness stage("scale");
  stage.set("by", "9");
  EXPECT_EQ(stage.run<Number>(0, Number{2})->value, 18);
  EXPECT_THROW(stage.set("std", "9"), graph::Error);
  EXPECT_THROW(stage.set("by", "nine"), graph::Error);
}

}  // namespace
}  // namespace tests
