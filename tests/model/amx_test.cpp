// amx_test: the kernels on AMX read and write nothing beyond their matrices, which end where memory does.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstddef>
#include <random>

#include "stages/model/kernels/amx_product.h"
#include "stages/model/kernels/attention.h"
#include "stages/model/kernels/has_amx.h"

namespace {

using namespace model::kernels;

// Random numbers behind which nobody may look. AddressSanitizer does not see loads and stores of tiles.
class Guarded {
 public:
  explicit Guarded(std::int64_t count) {
    constexpr std::size_t page = 4096;
    const auto needed = static_cast<std::size_t>(count) * sizeof(float);
    whole_ = (needed + page - 1) / page * page + page;
    pages_ = static_cast<std::byte*>(
        mmap(nullptr, whole_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (pages_ == MAP_FAILED || mprotect(pages_ + whole_ - page, page, PROT_NONE) != 0)
      throw std::bad_alloc();
    numbers_ = reinterpret_cast<float*>(pages_ + whole_ - page - needed);
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    for (std::int64_t i = 0; i < count; ++i) numbers_[i] = normal(random);
  }
  Guarded(const Guarded&) = delete;
  ~Guarded() { munmap(pages_, whole_); }
  operator float*() const { return numbers_; }

 private:
  std::size_t whole_;
  std::byte* pages_;
  float* numbers_;
};

struct Amx : testing::Test {
  void SetUp() override {
    if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  }
};

TEST_F(Amx, ProductsStayInTheirMatrices) {
  struct Case {
    std::int64_t M, N, K;
  };
  for (const auto& [M, N, K] : {Case{1, 1, 1}, {17, 33, 31}, {33, 16, 290}, {64, 47, 64}, {5, 7, 0}}) {
    const Guarded a(M * K), b(K * N), bias(N), c(M * N);
    for (const bool a_turned : {false, true})
      for (const bool b_turned : {false, true}) {
        amx_multiply(a_turned ? Matrix{a, 1, M} : Matrix{a, K, 1},
                     b_turned ? Matrix{b, 1, K} : Matrix{b, N, 1}, bias, c, M, N, K);
        const std::int64_t row = M - 1, column = N - 1;
        double sum = bias[column];
        for (std::int64_t k = 0; k < K; ++k)
          sum += static_cast<double>(a[a_turned ? k * M + row : row * K + k]) *
                 static_cast<double>(b[b_turned ? column * K + k : k * N + column]);
        EXPECT_NEAR(c[row * N + column], sum, 1e-3) << M << " " << N << " " << K;
      }
  }
}

TEST_F(Amx, AttentionStaysInItsClips) {
  // A window of 1 beside a past sees a piece of no keys, which begins in the middle of a pair of tiles.
  for (const std::int64_t window : {1, 2, 0})
    for (const std::int64_t tokens : {1, 17, 31})
      for (const std::int64_t d_head : {8, 24, 40}) {
        const std::int64_t batch = 1, heads = 2, frames = 6, past = 3, first = 3, S = frames * tokens,
                           Q = (frames - first) * tokens, row = key_row(S);
        const Guarded q(heads * Q * d_head), k(heads * d_head * row), v(heads * S * d_head),
            out(heads * Q * d_head), log_sum(heads * Q), d_out(heads * Q * d_head), dq(heads * Q * d_head),
            dk(heads * S * d_head), dv(heads * S * d_head), exact(heads * Q * d_head), exact_sum(heads * Q),
            exact_dq(heads * Q * d_head), exact_dk(heads * S * d_head), exact_dv(heads * S * d_head);
        const Clips clips{batch, heads, frames, past, first, tokens, window, d_head, q, k, v, row};
        amx_attend(clips, out, log_sum);
        amx_attend_backward(clips, out, log_sum, d_out, dq, dk, dv);
        attend(clips, exact, exact_sum);
        attend_backward(clips, exact, exact_sum, d_out, exact_dq, exact_dk, exact_dv);
        const std::int64_t query = heads * Q * d_head - 1, key = heads * S * d_head - 1;
        EXPECT_NEAR(out[query], exact[query], 1e-2);
        EXPECT_NEAR(log_sum[heads * Q - 1], exact_sum[heads * Q - 1], 1e-2);
        EXPECT_NEAR(dq[query], exact_dq[query], 1e-2);
        EXPECT_NEAR(dk[key], exact_dk[key], 1e-2);
        EXPECT_NEAR(dv[key], exact_dv[key], 1e-2);
      }
}

}  // namespace
