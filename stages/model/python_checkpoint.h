// python_checkpoint: reads weights that the reference saved with Python's torch.save.
//
// Such a file is an uncompressed zip: `<name>/data.pkl`, a pickle of the objects, and `<name>/data/<key>`, the
// numbers of each storage. libtorch's own unpickler refuses the OrderedDict of a state dict and the optimizer's
// state beside it, so a small one is here. It builds dicts, lists, strings, integers and tensors and runs
// nothing: whatever else the file names becomes an object without content.
//
// Sources: docs.python.org/3/library/pickletools.html (opcodes) · PKWARE APPNOTE (zip)
#pragma once

#include <filesystem>

#include "stages/model/config.h"
#include "stages/model/parameters.h"

namespace model {

// The weights in a state dict, or in a training checkpoint with one under `model`. Names may start with
// `_orig_mod.` (torch.compile); tables that follow from the config are passed over. Float32 on the CPU, in the
// network's order. Throws std::runtime_error with one line when the file is broken or not the config's (see
// match()).
Parameters load_python(const std::filesystem::path& path, const Config& config);

}  // namespace model
