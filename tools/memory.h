// memory: the most memory that this process had at one time.
#pragma once

namespace tools {

/// Gives back what is not in use, and forgets the peak so far; false where the system does not let it be forgotten.
bool reset_peak_memory();

/// Resident, in GB (1e9 bytes). Since the last reset, or else since the process began.
double peak_memory_gb();

}  // namespace tools
