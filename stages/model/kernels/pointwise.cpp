// pointwise: what a block does between its matrix products, a pass over memory each.
#include "stages/model/kernels/pointwise.h"

#include <cmath>

#include "stages/model/kernels/parallel.h"
#include "stages/model/kernels/vector.h"

namespace model::kernels {
namespace {

// 1/√(mean(x²) + 1e-6)
float inverse_size(const float* x, Index d) {
  Floats squares = all(0);
  for (Index j = 0; j < d; j += lanes) squares += load(x + j) * load(x + j);
  return 1 / ::sqrtf(sum(squares) / static_cast<float>(d) + 1e-6F);
}

void add(float* to, Floats x) { store(to, load(to) + x); }

// Each pair (x0, x1) becomes (x1, x0).
Floats swapped(Floats x) { return Floats{x[1], x[0], x[3], x[2], x[5], x[4], x[7], x[6]}; }

constexpr Floats signs{-1, 1, -1, 1, -1, 1, -1, 1};

}  // namespace

// --- modulated norm --------------------------------------------------------------------------------------------

void forward(const ModulatedNorm& norm, float* y) {
  const Index d = norm.d;
  const float* z = norm.z;
  for (Index g = 0; g < norm.groups; ++g) {
    const float *shift = norm.shift + g * norm.stride, *scale = norm.scale + g * norm.stride;
    for (Index row = 0; row < norm.tokens; ++row, z += d, y += d) {
      const Floats r = all(inverse_size(z, d));
      for (Index j = 0; j < d; j += lanes)
        store(y + j, load(z + j) * r * load(norm.weight + j) * (all(1) + load(scale + j)) + load(shift + j));
    }
  }
}

// With u the sum over a group's rows of dy·z·r: dscale = u·w and dweight = Σ u·(1 + scale).
void backward(const ModulatedNorm& norm, const float* dy, float* dz, float* dweight, float* dshift,
              float* dscale) {
  const Index d = norm.d;
  const float* z = norm.z;
  for (Index g = 0; g < norm.groups; ++g, dshift += d, dscale += d) {
    const float* scale = norm.scale + g * norm.stride;
    for (Index j = 0; j < d; j += lanes) {
      store(dshift + j, all(0));
      store(dscale + j, all(0));
    }
    for (Index row = 0; row < norm.tokens; ++row, z += d, dy += d, dz += d) {
      const float size = inverse_size(z, d);
      const Floats r = all(size);
      Floats along = all(0);
      for (Index j = 0; j < d; j += lanes) {
        const Floats gradient = load(dy + j), normed = load(z + j) * r,
                     d_normed = gradient * load(norm.weight + j) * (all(1) + load(scale + j));
        add(dshift + j, gradient);
        add(dscale + j, gradient * normed);
        along += d_normed * normed;
        store(dz + j, d_normed);
      }
      const Floats share = all(sum(along) / static_cast<float>(d));
      for (Index j = 0; j < d; j += lanes) store(dz + j, r * (load(dz + j) - load(z + j) * r * share));
    }
    for (Index j = 0; j < d; j += lanes) {
      const Floats u = load(dscale + j);
      add(dweight + j, u * (all(1) + load(scale + j)));
      store(dscale + j, u * load(norm.weight + j));
    }
  }
}

// --- gates -----------------------------------------------------------------------------------------------------

void gated_silu(Index count, const float* up, const float* gate, float* y) {
  for (Index i = 0; i < count; i += lanes)
    store(y + i, load(up + i) * load(gate + i) * sigmoid(load(gate + i)));
}

void gated_silu_backward(Index count, const float* up, const float* gate, const float* dy, float* dup,
                         float* dgate) {
  for (Index i = 0; i < count; i += lanes) {
    const Floats x = load(gate + i), s = sigmoid(x), gradient = load(dy + i);
    store(dup + i, gradient * x * s);
    store(dgate + i, gradient * load(up + i) * s * (all(1) + x * (all(1) - s)));
  }
}

void silu(Index count, float* x) {
  for (Index i = 0; i < count; i += lanes) store(x + i, load(x + i) * sigmoid(load(x + i)));
}

void forward(const GatedSum& sum, float* y) {
  const Index d = sum.d;
  const float *z = sum.z, *h = sum.h;
  for (Index g = 0; g < sum.groups; ++g) {
    const float* gate = sum.gate + g * sum.stride;
    for (Index row = 0; row < sum.tokens; ++row, z += d, h += d, y += d)
      for (Index j = 0; j < d; j += lanes) store(y + j, load(z + j) + load(gate + j) * load(h + j));
  }
}

void backward(const GatedSum& sum, const float* dy, float* dh, float* dgate) {
  const Index d = sum.d;
  const float* h = sum.h;
  for (Index g = 0; g < sum.groups; ++g, dgate += d) {
    const float* gate = sum.gate + g * sum.stride;
    for (Index j = 0; j < d; j += lanes) store(dgate + j, all(0));
    for (Index row = 0; row < sum.tokens; ++row, h += d, dy += d, dh += d)
      for (Index j = 0; j < d; j += lanes) {
        add(dgate + j, load(dy + j) * load(h + j));
        store(dh + j, load(dy + j) * load(gate + j));
      }
  }
}

// --- heads -----------------------------------------------------------------------------------------------------

namespace {

// y = x·r·w, turned: (y0, y1) → (y0 cos0 - y1 sin0, y1 cos1 + y0 sin1)
void norm_and_turn(const float* x, const float* weight, const float* cos, const float* sin, Index d,
                   float* y) {
  const Floats r = all(inverse_size(x, d));
  for (Index j = 0; j < d; j += lanes) {
    const Floats normed = load(x + j) * r * load(weight + j);
    store(y + j, cos ? normed * load(cos + j) + swapped(normed) * signs * load(sin + j) : normed);
  }
}

void norm_and_turn_backward(const float* x, const float* weight, const float* cos, const float* sin, Index d,
                            const float* dy, float* dx, float* dweight) {
  const Floats r = all(inverse_size(x, d));
  Floats along = all(0);
  for (Index j = 0; j < d; j += lanes) {
    Floats gradient = load(dy + j);
    if (cos) gradient = gradient * load(cos + j) + swapped(gradient * signs * load(sin + j));
    const Floats normed = load(x + j) * r, d_normed = gradient * load(weight + j);
    add(dweight + j, gradient * normed);
    along += d_normed * normed;
    store(dx + j, d_normed);
  }
  const Floats share = all(sum(along) / static_cast<float>(d));
  for (Index j = 0; j < d; j += lanes) store(dx + j, r * (load(dx + j) - load(x + j) * r * share));
}

}  // namespace

void forward(const Heads& all_heads, float* q, float* k, float* v, Index k_row, Index v_head) {
  const auto& [batch, length, heads, d_head, qkv, norm_q, norm_k, cos, sin, turn_stride] = all_heads;
  constexpr Index together = 8;  // tokens, whose keys then fill whole parts of their columns' cache lines
  float keys[together * widest_head];
  const Index d = heads * d_head;
  for (Index b = 0; b < batch; ++b)
    for (Index first = 0; first < length; first += together) {
      const Index count = length - first < together ? length - first : together;
      for (Index h = 0; h < heads; ++h) {
        const Index head = b * heads + h;
        for (Index i = 0; i < count; ++i) {
          const Index s = first + i;
          const float* x = qkv + (b * length + s) * 3 * d + h * d_head;
          const float* const c = cos ? cos + b * turn_stride + s * d_head : nullptr;
          const float* const n = sin ? sin + b * turn_stride + s * d_head : nullptr;
          norm_and_turn(x, norm_q, c, n, d_head, q + (head * length + s) * d_head);
          norm_and_turn(x + d, norm_k, c, n, d_head, keys + i * d_head);
          float* const value = v + head * v_head + s * d_head;
          for (Index j = 0; j < d_head; j += lanes) store(value + j, load(x + 2 * d + j));
        }
        for (Index j = 0; j < d_head; ++j)
          for (Index i = 0; i < count; ++i) k[(head * d_head + j) * k_row + first + i] = keys[i * d_head + j];
      }
    }
}

void backward(const Heads& all_heads, const float* dq, const float* dk, const float* dv, float* dqkv,
              float* dnorm_q, float* dnorm_k) {
  const auto& [batch, length, heads, d_head, qkv, norm_q, norm_k, cos, sin, turn_stride] = all_heads;
  const Index d = heads * d_head;
  for (Index b = 0; b < batch; ++b)
    for (Index s = 0; s < length; ++s)
      for (Index h = 0; h < heads; ++h) {
        const Index here = (b * length + s) * 3 * d + h * d_head,
                    there = ((b * heads + h) * length + s) * d_head;
        const float* const c = cos ? cos + b * turn_stride + s * d_head : nullptr;
        const float* const n = sin ? sin + b * turn_stride + s * d_head : nullptr;
        norm_and_turn_backward(qkv + here, norm_q, c, n, d_head, dq + there, dqkv + here, dnorm_q);
        norm_and_turn_backward(qkv + here + d, norm_k, c, n, d_head, dk + there, dqkv + here + d, dnorm_k);
        for (Index j = 0; j < d_head; j += lanes) store(dqkv + here + 2 * d + j, load(dv + there + j));
      }
}

// --- group norm ------------------------------------------------------------------------------------------------

namespace {
constexpr Index groups = 32;
}

void forward(const SiluGroupNorm& norm, float* y, float* mean, float* rstd) {
  const Index C = norm.channels, in_group = C / groups, pixels = norm.pixels;
  // So many channels hold whole groups and whole vectors.
  Index together = in_group;
  while (together % lanes != 0) together += in_group;
  const Index parts = C / together;
  const auto count = static_cast<float>(pixels * in_group);
  constexpr double flop_of_silu = 30;
  spread(norm.frames * parts, flop_of_silu * static_cast<double>(pixels * together),
         [&](Index begin, Index end) {
           for (Index part = begin; part < end; ++part) {
             const Index frame = part / parts, first = part % parts * together, last = first + together;
             const float* const x = norm.x + frame * pixels * C;
             float* const out = y + frame * pixels * C;
             float means[groups] = {}, squares[groups] = {};
             // Channel by channel, so that sums stay in registers.
             for (Index c = first; c < last; c += lanes) {
               Floats total = all(0);
               for (Index p = 0; p < pixels; ++p) {
                 const Floats a = load(x + p * C + c), silu = a * sigmoid(a);
                 store(out + p * C + c, silu);
                 total += silu;
               }
               for (Index i = 0; i < lanes; ++i) means[(c + i) / in_group] += total[i] / count;
             }
             for (Index c = first; c < last; c += lanes) {
               Floats middle = all(0), total = all(0);
               for (Index i = 0; i < lanes; ++i) middle[i] = means[(c + i) / in_group];
               for (Index p = 0; p < pixels; ++p) {
                 const Floats away = load(out + p * C + c) - middle;
                 total += away * away;
               }
               for (Index i = 0; i < lanes; ++i) squares[(c + i) / in_group] += total[i] / count;
             }
             for (Index c = first; c < last; c += lanes) {
               Floats factor = all(0), offset = all(0);
               for (Index i = 0; i < lanes; ++i) {
                 const Index g = (c + i) / in_group;
                 factor[i] = norm.weight[c + i] / ::sqrtf(squares[g] + 1e-5F);
                 offset[i] = norm.bias[c + i] - means[g] * factor[i];
               }
               for (Index p = 0; p < pixels; ++p)
                 store(out + p * C + c, load(out + p * C + c) * factor + offset);
             }
             for (Index g = first / in_group; mean && g < last / in_group; ++g) {
               mean[frame * groups + g] = means[g];
               rstd[frame * groups + g] = 1 / ::sqrtf(squares[g] + 1e-5F);
             }
           }
         });
}

void backward(const SiluGroupNorm& norm, const float* mean, const float* rstd, const float* dy, float* dx,
              float* dweight, float* dbias) {
  const Index C = norm.channels, in_group = C / groups;
  const auto count = static_cast<float>(norm.pixels * in_group);
  const float* x = norm.x;
  for (Index f = 0; f < norm.frames; ++f, mean += groups, rstd += groups) {
    float gradients[groups] = {}, along[groups] = {};  // means over a group of dŝ and dŝ·ŝ
    for (Index c = 0; c < C; c += lanes) {
      Floats middle = all(0), factor = all(0), of_dy = all(0), of_both = all(0);
      for (Index i = 0; i < lanes; ++i) {
        middle[i] = mean[(c + i) / in_group];
        factor[i] = rstd[(c + i) / in_group];
      }
      for (Index p = 0; p < norm.pixels; ++p) {
        const Floats a = load(x + p * C + c), normed = (a * sigmoid(a) - middle) * factor,
                     gradient = load(dy + p * C + c);
        store(dx + p * C + c, normed);
        of_dy += gradient;
        of_both += gradient * normed;
      }
      add(dweight + c, of_both);
      add(dbias + c, of_dy);
      for (Index i = 0; i < lanes; ++i) {
        gradients[(c + i) / in_group] += of_dy[i] * norm.weight[c + i] / count;
        along[(c + i) / in_group] += of_both[i] * norm.weight[c + i] / count;
      }
    }
    for (Index c = 0; c < C; c += lanes) {
      Floats factor = all(0), of_gradients = all(0), of_along = all(0);
      for (Index i = 0; i < lanes; ++i) {
        const Index g = (c + i) / in_group;
        factor[i] = rstd[g];
        of_gradients[i] = gradients[g];
        of_along[i] = along[g];
      }
      const Floats weight = load(norm.weight + c);
      for (Index p = 0; p < norm.pixels; ++p) {
        const Floats a = load(x + p * C + c), s = sigmoid(a),
                     d_silu = factor * (load(dy + p * C + c) * weight - of_gradients -
                                        load(dx + p * C + c) * of_along);
        store(dx + p * C + c, d_silu * s * (all(1) + a * (all(1) - s)));
      }
    }
    x += norm.pixels * C;
    dy += norm.pixels * C;
    dx += norm.pixels * C;
  }
}

}  // namespace model::kernels
