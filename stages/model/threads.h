// threads: settings of the process that the numeric libraries run fast with, and a warning where they cannot.
#pragma once

#include <string>

namespace model {

// Parallelism belongs to the pipeline, so an operation runs on the thread that asks for it. Sets libtorch and
// OpenBLAS, which does not listen to libtorch. Call it once at start-up, from the main thread.
void use_one_thread_per_call();

// Lets malloc keep what tensors free, in one piece of memory for all threads: given back and asked for anew, as glibc
// does it with large blocks, every step of training touches all its pages for the first time. [measured: a tenth of a
// step] Does nothing without glibc. Call it once at start-up, before other threads.
void keep_memory();

// Empty, or one line to show the user when matrix products run on the unoptimised reference BLAS, which costs
// a factor of 50 and which nothing else tells. Times a small product: about a millisecond, a few dozen when
// the news is bad.
std::string blas_warning();

}  // namespace model
