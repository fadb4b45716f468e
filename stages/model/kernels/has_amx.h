// has_amx: whether the kernels on AMX can run here.
#pragma once

namespace model::kernels {

// Whether they were compiled, this processor has AMX, and AVX-512 beside it, and Linux grants this process the unit's
// registers, for which the first call asks.
bool has_amx();

}  // namespace model::kernels
