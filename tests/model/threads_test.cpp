// threads_test: one thread a call, and a BLAS worth its name.
#include "stages/model/threads.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace {

TEST(Threads, LibtorchUsesOne) {
  model::use_one_thread_per_call();
  EXPECT_EQ(at::get_num_threads(), 1);
}

TEST(Threads, AnOptimisedBlasIsLoaded) { EXPECT_EQ(model::blas_warning(), ""); }

}  // namespace
