// torch_pch: a translation unit for the shared precompiled header to belong to.
