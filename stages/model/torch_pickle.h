// torch_pickle: the tensors in a file that Python's torch.save wrote.
//
// Such a file is an uncompressed zip: `<name>/data.pkl`, a pickle of the objects, and `<name>/data/<key>`, the
// numbers of each storage. libtorch's own unpickler refuses the OrderedDict of a state dict and the optimizer's
// state beside it, so a small one is here. It builds dicts, lists, strings, integers and tensors and runs
// nothing: whatever else the file names becomes an object without content.
//
// Sources: docs.python.org/3/library/pickletools.html (opcodes) · PKWARE APPNOTE (zip)
#pragma once

#include <filesystem>

#include "stages/model/parameters.h"

namespace model {

// Whether a file begins as one that torch.save wrote. False when it cannot be read.
bool is_python(const std::filesystem::path& path);

// The tensors of a state dict, or of a training checkpoint with one under `model`, in the file's order and
// types. `_orig_mod.` (torch.compile) is taken off the names. The tensors together take no more memory than the
// file, which is held beside them while it is read. Throws std::runtime_error with one line when the file is
// broken.
Parameters read_python(const std::filesystem::path& path);

}  // namespace model
