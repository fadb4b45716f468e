// products: what products of matrices are computed with.
#pragma once

namespace model {

// float32: as exact as single precision. amx: on the matrix unit of processors with AMX, in a fifth to a half of the time;
// kernels/amx.h says how exact.
enum class Products { float32, amx };

// amx where this machine can (see kernels/has_amx.h), else float32. Any thread.
Products fastest_products();

}  // namespace model
