// threads: keeps the numeric libraries to one thread a call, and tells when they are slow ones.
#pragma once

#include <string>

namespace model {

// Parallelism belongs to the pipeline, so an operation runs on the thread that asks for it. Sets libtorch and
// OpenBLAS, which does not listen to libtorch. Call it once at start-up, from the main thread.
void use_one_thread_per_call();

// Empty, or one line to show the user when matrix products run on the unoptimised reference BLAS, which costs
// a factor of 50 and which nothing else tells. Times a small product: about a millisecond, a few dozen when
// the news is bad.
std::string blas_warning();

}  // namespace model
