// Arithmetic on rows of head_dim elements: storage type T, accumulator Accumulator<T>.
#pragma once

#include <stdint.h>

namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA {

struct BFloat16 {
  uint16_t bits;
};

template <typename T>
struct AccumulatorOf {
  using type = float;
};
template <>
struct AccumulatorOf<double> {
  using type = double;
};
template <typename T>
using Accumulator = typename AccumulatorOf<T>::type;

inline float load(float x) { return x; }
inline double load(double x) { return x; }
inline float load(BFloat16 x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16); }

inline void store(float* out, float x) { *out = x; }
inline void store(double* out, double x) { *out = x; }
/// Round to nearest, ties to even; NaN stays NaN.
inline void store(BFloat16* out, float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  const uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const uint32_t quiet_nan = (bits >> 16) | 0x40U;
  out->bits = static_cast<uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet_nan : rounded);
}

/// sum[d] = x_0[d] + … + x_{n-1}[d] for a short run of rows, four at a time so that their loads overlap.
template <typename T>
inline void sum_short_run(const T* __restrict x, int64_t stride, int64_t rows, int64_t dim,
                          Accumulator<T>* __restrict sum) {
  using A = Accumulator<T>;
  int64_t row = 0;
  if (rows >= 4) {
    const T *x0 = x, *x1 = x + stride, *x2 = x + 2 * stride, *x3 = x + 3 * stride;
    for (int64_t d = 0; d < dim; ++d) {
      sum[d] = (A(load(x0[d])) + A(load(x1[d]))) + (A(load(x2[d])) + A(load(x3[d])));
    }
    row = 4;
  } else {
    for (int64_t d = 0; d < dim; ++d) sum[d] = load(x[d]);
    row = 1;
  }
  for (; row + 4 <= rows; row += 4) {
    const T* x0 = x + row * stride;
    const T *x1 = x0 + stride, *x2 = x0 + 2 * stride, *x3 = x0 + 3 * stride;
    for (int64_t d = 0; d < dim; ++d) {
      sum[d] += (A(load(x0[d])) + A(load(x1[d]))) + (A(load(x2[d])) + A(load(x3[d])));
    }
  }
  for (; row < rows; ++row) {
    const T* xr = x + row * stride;
    for (int64_t d = 0; d < dim; ++d) sum[d] += load(xr[d]);
  }
}

inline constexpr int64_t kShortRun = 64;

/// Sums rows >= 1 rows. Long runs are halved, so that the rounding error grows with the logarithm of their length.
/// `scratch` holds log2(rows) rows of accumulators.
template <typename T>
void sum_rows(const T* x, int64_t stride, int64_t rows, int64_t dim, Accumulator<T>* __restrict sum,
              Accumulator<T>* __restrict scratch) {
  if (rows <= kShortRun) return sum_short_run(x, stride, rows, dim, sum);
  const int64_t half = rows / 2;
  sum_rows(x, stride, half, dim, sum, scratch + dim);
  sum_rows(x + half * stride, stride, rows - half, dim, scratch, scratch + dim);
  for (int64_t d = 0; d < dim; ++d) sum[d] += scratch[d];
}

/// The sum of 2 * kWidth lanes, halved again and again: widths are constants, so that vectors stay in registers.
template <int64_t kWidth, typename A>
inline A sum_lanes(A* lane) {
  for (int64_t i = 0; i < kWidth; ++i) lane[i] += lane[i + kWidth];
  if constexpr (kWidth > 1) return sum_lanes<kWidth / 2>(lane);
  return lane[0];
}

/// row[0] * x[0] + row[1] * x[1] + … by kLanes sums at once, so that additions do not wait for each other.
template <int64_t kLanes, typename T>
inline float dot(const T* __restrict row, const float* __restrict x, int64_t count) {
  float lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) lane[j] += load(row[i + j]) * x[i + j];
  }
  for (int64_t j = 0; i < count; ++i, ++j) lane[j] += load(row[i]) * x[i];
  return sum_lanes<kLanes / 2>(lane);
}

/// Squared norm in double: the products are exact for float and bfloat16, and nothing overflows that float can hold.
template <typename T>
inline double squared_norm(const T* __restrict x, int64_t dim) {
  constexpr int64_t kLanes = 16;
  double lane[kLanes] = {};
  int64_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
    for (int64_t i = 0; i < kLanes; ++i) {
      const double value = load(x[d + i]);
      lane[i] += value * value;
    }
  }
  for (int64_t i = 0; d < dim; ++d, ++i) {
    const double value = load(x[d]);
    lane[i] += value * value;
  }
  for (int64_t width = kLanes / 2; width >= 1; width /= 2) {
    for (int64_t i = 0; i < width; ++i) lane[i] += lane[i + width];
  }
  return lane[0];
}

}  // namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA
