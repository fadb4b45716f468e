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
#include <optional>

#include "stages/model/config.h"
#include "stages/model/parameters.h"
#include "stages/model/weights_file.h"

namespace model {

// Whether a file begins as one that torch.save wrote. False when it cannot be read.
bool is_python(const std::filesystem::path& path);

// The tensors of a state dict, or of a training checkpoint with one under `model`, in the file's order and
// types. `_orig_mod.` (torch.compile) is taken off the names. The tensors together take no more memory than the
// file, which is held beside them while it is read. Throws std::runtime_error with one line when the file is
// broken.
Parameters read_python(const std::filesystem::path& path);

// The weights among them, for such a file does not say what they are for. Tables that follow from the config
// must be those of this one and are left out. Float32 on the CPU, in the network's order. Throws as above, and
// when they are not the config's (see match()).
Parameters load_python(const std::filesystem::path& path, const Config& config);

// Weights of either kind. `config` is what they are for where the file itself does not say: Python checkpoints and
// foreign safetensors. Throws as load_python() and load() do, and when the file says otherwise.
WeightsFile load_weights(const std::filesystem::path& path, const std::optional<Config>& config);

}  // namespace model
