// pixels: the linear map between bytes and [-1,1].
#include "stages/data/pixels.h"

#include <torch/types.h>

namespace stages {

at::Tensor from_bytes(const at::Tensor& bytes) { return bytes.to(at::kFloat).div_(127.5).sub_(1); }

at::Tensor to_bytes(const at::Tensor& values) {
  return ((values + 1) * 127.5).round_().clamp_(0, 255).to(at::kByte);
}

}  // namespace stages
