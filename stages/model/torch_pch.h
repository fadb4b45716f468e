// torch_pch: the headers that all torch files share, compiled once.
#pragma once

#include <torch/types.h>
