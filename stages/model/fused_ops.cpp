// fused_ops: the network's operations on the CPU in float32, as autograd functions over the kernels.
#include <torch/autograd.h>
#include <torch/types.h>

#include <stdexcept>

#include "stages/model/kernels/amx_product.h"
#include "stages/model/kernels/attention.h"
#include "stages/model/kernels/convolution.h"
#include "stages/model/kernels/has_amx.h"
#include "stages/model/kernels/linear.h"
#include "stages/model/kernels/pointwise.h"
#include "stages/model/kernels/scratch.h"
#include "stages/model/ops.h"

namespace model {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

const float* numbers(const Tensor& tensor) { return tensor.data_ptr<float>(); }
float* writable(const Tensor& tensor) { return tensor.data_ptr<float>(); }

// Gradients are on in a backward pass only when it is itself to be differentiated, which the kernels cannot.
variable_list saved_by(AutogradContext* context) {
  if (at::GradMode::is_enabled())
    throw std::logic_error(
        "fused operations are differentiable once; take plain ones for second derivatives");
  return context->get_saved_variables();
}

float* packed_here(std::int64_t size) { return kernels::scratch(kernels::Scratch::panels, size); }

// --- linear ----------------------------------------------------------------------------------------------------

struct LinearFunction : Function<LinearFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        bool amx) {
    const Tensor w = weight.contiguous();
    context->save_for_backward({x, w});
    context->saved_data["amx"] = amx;
    const std::int64_t out = w.size(0), in = w.size(1);
    return multiply(x, {numbers(w), 1, in}, numbers(bias), at::empty({x.size(0), out}, x.options()), amx);
  }

  // y [M, N] = x [M, K]·b [K, N] + bias
  static Tensor multiply(const Tensor& x, const kernels::Matrix& b, const float* bias, const Tensor& y,
                         bool amx) {
    const std::int64_t M = y.size(0), N = y.size(1), K = x.size(1);
    if (amx) {
      kernels::amx_multiply({numbers(x), K, 1}, b, bias, writable(y), M, N, K);
    } else {
      float* const panels = packed_here(kernels::packed_size(K, N));
      kernels::pack(b.data, b.row, b.column, K, N, panels);
      kernels::multiply(numbers(x), {panels, bias}, writable(y), M, N, K);
    }
    return y;
  }

  // dyᵀ·x, a sum over thousands of rows: what a BLAS is best at, without a matrix unit.
  static Tensor weight_gradient(const Tensor& dy, const Tensor& x, bool amx) {
    if (!amx) return at::mm(dy.t(), x);
    const std::int64_t M = x.size(0), out = dy.size(1), in = x.size(1);
    Tensor dweight = at::empty({out, in}, x.options());
    kernels::amx_multiply({numbers(dy), 1, out}, {numbers(x), in, 1}, nullptr, writable(dweight), out, in, M);
    return dweight;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = saved_by(context);
    const Tensor &x = saved[0], &weight = saved[1], dy = gradients[0].contiguous();
    const bool amx = context->saved_data["amx"].toBool();
    const auto wanted = [&](std::size_t input) { return context->needs_input_grad(input); };
    return {wanted(0) ? multiply(dy, {numbers(weight), weight.size(1), 1}, nullptr, at::empty_like(x), amx)
                      : Tensor(),
            wanted(1) ? weight_gradient(dy, x, amx) : Tensor(),
            wanted(2) ? dy.sum(0) : Tensor(),
            {}};
  }
};

template <Products products>
Tensor linear(const Tensor& x, const Linear& w) {
  std::vector<std::int64_t> sizes = x.sizes().vec();
  const Tensor rows = x.reshape({-1, sizes.back()}).contiguous();
  sizes.back() = w.weight.size(0);
  return LinearFunction::apply(rows, w.weight, w.bias, products == Products::amx).view(sizes);
}

// --- modulated norm --------------------------------------------------------------------------------------------

// [B,T,1,d] → [B·T,d], numbers of a row side by side: as they come out of a wider layer's chunk(), or made so.
Tensor group_rows(const Tensor& given) {
  const Tensor rows = given.reshape({-1, given.size(-1)});
  return rows.stride(1) == 1 ? rows : rows.contiguous();
}

kernels::ModulatedNorm described(const Tensor& z, const Tensor& weight, const Tensor& shift,
                                 const Tensor& scale) {
  return {z.size(0) * z.size(1), z.size(2),      z.size(3),     shift.stride(0), numbers(z),
          numbers(weight),       numbers(shift), numbers(scale)};
}

struct ModulatedNormFunction : Function<ModulatedNormFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& z, const Tensor& weight, const Tensor& shift,
                        const Tensor& scale) {
    context->save_for_backward({z, weight, shift, scale});
    return apply_to(z, weight, shift, scale);
  }

  static Tensor apply_to(const Tensor& z, const Tensor& weight, const Tensor& shift, const Tensor& scale) {
    Tensor y = at::empty_like(z);
    kernels::forward(described(z, weight, shift, scale), writable(y));
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = saved_by(context);
    const Tensor &z = saved[0], &weight = saved[1], &shift = saved[2], &scale = saved[3];
    const Tensor dy = gradients[0].contiguous();
    Tensor dz = at::empty_like(z), dweight = at::zeros_like(weight),
           dshift = at::empty(shift.sizes(), z.options()), dscale = at::empty(shift.sizes(), z.options());
    kernels::backward(described(z, weight, shift, scale), numbers(dy), writable(dz), writable(dweight),
                      writable(dshift), writable(dscale));
    return {dz, dweight, dshift, dscale};
  }
};

Tensor modulated_norm(const Tensor& z, const Tensor& weight, const Tensor& shift, const Tensor& scale) {
  Tensor shifts = group_rows(shift), scales = group_rows(scale);
  if (shifts.stride(0) != scales.stride(0)) {
    shifts = shifts.contiguous();
    scales = scales.contiguous();
  }
  const Tensor rows = z.contiguous();
  return at::GradMode::is_enabled() ? ModulatedNormFunction::apply(rows, weight, shifts, scales)
                                    : ModulatedNormFunction::apply_to(rows, weight, shifts, scales);
}

// --- gates -----------------------------------------------------------------------------------------------------

struct GatedSiluFunction : Function<GatedSiluFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& up, const Tensor& gate) {
    context->save_for_backward({up, gate});
    return apply_to(up, gate);
  }

  static Tensor apply_to(const Tensor& up, const Tensor& gate) {
    Tensor y = at::empty_like(up);
    kernels::gated_silu(up.numel(), numbers(up), numbers(gate), writable(y));
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = saved_by(context);
    const Tensor dy = gradients[0].contiguous();
    Tensor dup = at::empty_like(saved[0]), dgate = at::empty_like(saved[0]);
    kernels::gated_silu_backward(dup.numel(), numbers(saved[0]), numbers(saved[1]), numbers(dy),
                                 writable(dup), writable(dgate));
    return {dup, dgate};
  }
};

Tensor gated_silu(const Tensor& up, const Tensor& gate) {
  return at::GradMode::is_enabled() ? GatedSiluFunction::apply(up.contiguous(), gate.contiguous())
                                    : GatedSiluFunction::apply_to(up.contiguous(), gate.contiguous());
}

kernels::GatedSum described(const Tensor& z, const Tensor& gate, const Tensor& h) {
  return {z.size(0) * z.size(1), z.size(2), z.size(3), gate.stride(0), numbers(z), numbers(gate), numbers(h)};
}

struct GatedSumFunction : Function<GatedSumFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& z, const Tensor& gate, const Tensor& h) {
    context->save_for_backward({z, gate, h});
    return apply_to(z, gate, h);
  }

  static Tensor apply_to(const Tensor& z, const Tensor& gate, const Tensor& h) {
    Tensor y = at::empty_like(z);
    kernels::forward(described(z, gate, h), writable(y));
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = saved_by(context);
    const Tensor &z = saved[0], &gate = saved[1], &h = saved[2], dy = gradients[0].contiguous();
    Tensor dh = at::empty_like(h), dgate = at::empty(gate.sizes(), z.options());
    kernels::backward(described(z, gate, h), numbers(dy), writable(dh), writable(dgate));
    return {dy, dgate, dh};
  }
};

Tensor gated_sum(const Tensor& z, const Tensor& gate, const Tensor& h) {
  const Tensor rows = z.contiguous(), gates = group_rows(gate), added = h.contiguous();
  return at::GradMode::is_enabled() ? GatedSumFunction::apply(rows, gates, added)
                                    : GatedSumFunction::apply_to(rows, gates, added);
}

// --- attention -------------------------------------------------------------------------------------------------

// Columns of keys lie side by side, with room after the last: [B,H,d_head,S+…] seen as [B,H,S,d_head].
Tensor empty_keys(std::int64_t B, std::int64_t H, std::int64_t S, std::int64_t d_head,
                  const at::TensorOptions& options) {
  return at::empty({B, H, d_head, kernels::key_row(S)}, options).narrow(3, 0, S).transpose(2, 3);
}

struct HeadsFunction : Function<HeadsFunction> {
  static variable_list forward(AutogradContext* context, const Tensor& qkv, const Tensor& norm_q,
                               const Tensor& norm_k, const Rotation& rotation, std::int64_t n_heads) {
    context->save_for_backward({qkv, norm_q, norm_k, rotation.cos, rotation.sin});
    context->saved_data["n_heads"] = n_heads;
    const Heads heads = apply_to(qkv, norm_q, norm_k, rotation, n_heads);
    return {heads.q, heads.k, heads.v};
  }

  static kernels::Heads described(const Tensor& qkv, const Tensor& norm_q, const Tensor& norm_k,
                                  const Rotation& rotation, std::int64_t n_heads) {
    const auto& [cos, sin] = rotation;
    const std::int64_t B = qkv.size(0), S = qkv.size(1), d_head = qkv.size(2) / 3 / n_heads;
    return {B,
            S,
            n_heads,
            d_head,
            numbers(qkv),
            numbers(norm_q),
            numbers(norm_k),
            cos.defined() ? numbers(cos) : nullptr,
            sin.defined() ? numbers(sin) : nullptr,
            cos.defined() && cos.numel() > S * d_head ? S * d_head : 0};
  }

  static Heads apply_to(const Tensor& qkv, const Tensor& norm_q, const Tensor& norm_k,
                        const Rotation& rotation, std::int64_t n_heads) {
    const auto what = described(qkv, norm_q, norm_k, rotation, n_heads);
    Heads heads{at::empty({what.batch, n_heads, what.length, what.d_head}, qkv.options()),
                empty_keys(what.batch, n_heads, what.length, what.d_head, qkv.options()),
                at::empty({what.batch, n_heads, what.length, what.d_head}, qkv.options())};
    kernels::forward(what, writable(heads.q), writable(heads.k), writable(heads.v), heads.k.stride(3),
                     what.length * what.d_head);
    return heads;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = saved_by(context);
    const Tensor &qkv = saved[0], &norm_q = saved[1], &norm_k = saved[2];
    const Tensor dq = gradients[0].contiguous(), dk = gradients[1].contiguous(),
                 dv = gradients[2].contiguous();
    Tensor dqkv = at::empty_like(qkv), dnorm_q = at::zeros_like(norm_q), dnorm_k = at::zeros_like(norm_k);
    kernels::backward(
        described(qkv, norm_q, norm_k, {saved[3], saved[4]}, context->saved_data["n_heads"].toInt()),
        numbers(dq), numbers(dk), numbers(dv), writable(dqkv), writable(dnorm_q), writable(dnorm_k));
    return {dqkv, dnorm_q, dnorm_k, {}, {}};
  }
};

Heads heads(const Tensor& qkv, const Tensor& norm_q, const Tensor& norm_k, const Rotation& rotation,
            std::int64_t n_heads) {
  const Tensor rows = qkv.contiguous();
  const Rotation turn =
      rotation.cos.defined() ? Rotation{rotation.cos.contiguous(), rotation.sin.contiguous()} : rotation;
  if (!at::GradMode::is_enabled()) return HeadsFunction::apply_to(rows, norm_q, norm_k, turn, n_heads);
  const variable_list parts = HeadsFunction::apply(rows, norm_q, norm_k, turn, n_heads);
  return {parts[0], parts[1], parts[2]};
}

struct AttentionFunction : Function<AttentionFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& q, const Tensor& k, const Tensor& v,
                        std::int64_t frames, std::int64_t past, std::int64_t window, bool amx) {
    const Tensor out = at::empty({q.size(0), q.size(2), q.size(1) * q.size(3)}, q.options()),
                 log_sum = at::empty({q.size(0), q.size(1), q.size(2)}, q.options());
    const kernels::Clips clips = described(q, k, v, frames, past, window);
    if (amx)
      kernels::amx_attend(clips, writable(out), writable(log_sum));
    else
      kernels::attend(clips, writable(out), writable(log_sum));
    context->save_for_backward({q, k, v, out, log_sum});
    context->saved_data["frames"] = frames;
    context->saved_data["past"] = past;
    context->saved_data["window"] = window;
    context->saved_data["amx"] = amx;
    return out;
  }

  static kernels::Clips described(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t frames,
                                  std::int64_t past, std::int64_t window) {
    const std::int64_t tokens = k.size(2) / frames, first = frames - q.size(2) / tokens;
    return {q.size(0), q.size(1), frames,     past,       first,      tokens,
            window,    q.size(3), numbers(q), numbers(k), numbers(v), k.stride(3)};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = saved_by(context);
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3], &log_sum = saved[4];
    const Tensor d_out = gradients[0].contiguous();
    Tensor dq = at::empty_like(q), dk = at::empty_like(v), dv = at::empty_like(v);
    const auto number = [&](const char* key) { return context->saved_data[key].toInt(); };
    const auto attend_backward =
        context->saved_data["amx"].toBool() ? kernels::amx_attend_backward : kernels::attend_backward;
    attend_backward(described(q, k, v, number("frames"), number("past"), number("window")), numbers(out),
                    numbers(log_sum), numbers(d_out), writable(dq), writable(dk), writable(dv));
    return {dq, dk, dv, {}, {}, {}, {}};
  }
};

template <Products products>
Tensor attend_clips(const Heads& heads, const Sight& sight) {
  Tensor keys = heads.k;
  if (keys.stride(2) != 1 || keys.stride(3) < kernels::key_row(keys.size(2)) ||
      keys.stride(1) != keys.size(3) * keys.stride(3) || keys.stride(0) != keys.size(1) * keys.stride(1)) {
    keys = empty_keys(keys.size(0), keys.size(1), keys.size(2), keys.size(3), keys.options());
    keys = keys.copy_(heads.k);
  }
  return AttentionFunction::apply(heads.q.contiguous(), keys, heads.v.contiguous(), sight.frames, sight.past,
                                  sight.window, products == Products::amx);
}

// --- stem ------------------------------------------------------------------------------------------------------

kernels::Images images_of(const Tensor& x) { return {x.size(0), x.size(1), x.size(2)}; }

Tensor padded(const Tensor& x) {
  constexpr auto around = 2 * kernels::margin;
  Tensor wide = at::empty({x.size(0), x.size(1) + around, x.size(2) + around, x.size(3)}, x.options());
  kernels::pad(images_of(x), x.size(3), numbers(x), writable(wide));
  return wide;
}

// wide as padded() makes it
Tensor convolved(const Tensor& wide, const float* panels, std::int64_t out, const float* bias) {
  constexpr auto around = 2 * kernels::margin;
  const kernels::Images images{wide.size(0), wide.size(1) - around, wide.size(2) - around};
  Tensor y = at::empty({images.count, images.height, images.width, out}, wide.options());
  kernels::convolve(images, wide.size(3), out, numbers(wide), panels, bias, writable(y));
  return y;
}

struct ConvolutionFunction : Function<ConvolutionFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias) {
    const Tensor w = weight.contiguous(), wide = padded(x);
    context->save_for_backward({wide, w});
    const std::int64_t out = w.size(0), in = w.size(1);
    float* const panels = packed_here(kernels::packed_filters_size(in, out));
    kernels::pack_filters(numbers(w), in, out, panels);
    return convolved(wide, panels, out, numbers(bias));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = saved_by(context);
    const Tensor &wide = saved[0], &weight = saved[1], dy = gradients[0].contiguous();
    const std::int64_t out = weight.size(0), in = weight.size(1);
    Tensor dx, dweight = at::empty_like(weight);
    if (context->needs_input_grad(0)) {
      float* const panels = packed_here(kernels::packed_filters_size(out, in));
      kernels::pack_filters_backward(numbers(weight), in, out, panels);
      dx = convolved(padded(dy), panels, in, nullptr);
    }
    if (context->needs_input_grad(1))
      kernels::convolve_backward_weight(images_of(dy), in, out, numbers(wide), numbers(dy),
                                        writable(dweight));
    return {dx, dweight, dy.sum({0, 1, 2})};
  }
};

Tensor convolve(const Tensor& x, const Filters& w) {
  return ConvolutionFunction::apply(x.contiguous(), w.weight, w.bias);
}

struct SiluGroupNormFunction : Function<SiluGroupNormFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias) {
    constexpr std::int64_t groups = 32;
    Tensor y = at::empty_like(x), mean = at::empty({x.size(0), groups}, x.options()),
           rstd = at::empty_like(mean);
    kernels::forward(described(x, weight, bias), writable(y), writable(mean), writable(rstd));
    context->save_for_backward({x, weight, bias, mean, rstd});
    return y;
  }

  static kernels::SiluGroupNorm described(const Tensor& x, const Tensor& weight, const Tensor& bias) {
    return {x.size(0), x.size(1) * x.size(2), x.size(3), numbers(x), numbers(weight), numbers(bias)};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = saved_by(context);
    const Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], dy = gradients[0].contiguous();
    Tensor dx = at::empty_like(x), dweight = at::zeros_like(weight), dbias = at::zeros_like(bias);
    kernels::backward(described(x, weight, bias), numbers(saved[3]), numbers(saved[4]), numbers(dy),
                      writable(dx), writable(dweight), writable(dbias));
    return {dx, dweight, dbias};
  }
};

Tensor silu_group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return SiluGroupNormFunction::apply(x.contiguous(), weight, bias);
}

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

template <Products products>
constexpr Ops fused{linear<products>, modulated_norm, heads,    attend_clips<products>,
                    gated_silu,       gated_sum,      convolve, silu_group_norm};

}  // namespace

Products fastest_products() { return kernels::has_amx() ? Products::amx : Products::float32; }

const Ops& fused_ops(Products products) {
  if (products == Products::amx && fastest_products() != Products::amx)
    throw std::invalid_argument("fused operations: this machine has no AMX, expected products float32");
  return products == Products::amx ? fused<Products::amx> : fused<Products::float32>;
}

bool can_fuse(const Config& config) {
  constexpr std::int64_t together = 8;  // numbers that a kernel takes at once
  return config.rope_type != "learn" && config.d_head() % together == 0 &&
         config.d_head() <= kernels::widest_head && has_avx2();
}

}  // namespace model
