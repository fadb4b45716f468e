// products: what products of matrices are computed with.
#pragma once

namespace model {

// float32: as exact as single precision. amx: on the matrix unit of processors with AMX, which multiplies bfloat16, each
// number as the sum of two of these: an error of about 2^-17 of the numbers multiplied, in a third to half of the time.
enum class Products { float32, amx };

// amx where this machine can (see kernels/has_amx.h), else float32. Any thread.
Products fastest_products();

}  // namespace model
