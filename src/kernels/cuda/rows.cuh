// Rows of head_dim elements in pieces of 16 bytes (or of one element, where sizes or addresses allow no more): a thread
// owns one piece of every row that it touches.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "kernels/cuda/kernels.h"

namespace lighthouse::kernels::cuda {

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

__device__ inline float widen(float x) { return x; }
__device__ inline double widen(double x) { return x; }
__device__ inline float widen(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline float widen(__half x) { return __half2float(x); }

template <typename T>
__device__ T narrow(Accumulator<T> x) {
  return static_cast<T>(x);
}
template <>
__device__ inline __nv_bfloat16 narrow<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ inline __half narrow<__half>(float x) {
  return __float2half_rn(x);
}

/// `kWidth` elements as they are stored.
template <typename T, int kWidth>
struct alignas(kWidth * sizeof(T)) Piece {
  T values[kWidth];
};

/// The machine's word of as many bytes as a piece, where there is one: pieces move in one access.
template <int kBytes>
struct WordOf {
  using type = void;
};
template <>
struct WordOf<8> {
  using type = uint2;
};
template <>
struct WordOf<16> {
  using type = uint4;
};
template <typename T, int kWidth>
using Word = typename WordOf<sizeof(Piece<T, kWidth>)>::type;
template <typename T, int kWidth>
inline constexpr bool kHasWord = !std::is_void_v<Word<T, kWidth>>;

/// Elements of a piece of 16 bytes.
template <typename T>
inline constexpr int kWide = 16 / sizeof(T);

/// Sums of a piece's elements.
template <typename T, int kWidth>
struct Sum {
  Accumulator<T> values[kWidth];

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) values[i] = 0;
  }
  __device__ void add(const Piece<T, kWidth>& piece) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) values[i] += widen(piece.values[i]);
  }
  __device__ void add(const Piece<T, kWidth>& piece, Accumulator<T> weight) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) values[i] += weight * widen(piece.values[i]);
  }
  __device__ void add(const Sum& other) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) values[i] += other.values[i];
  }
  __device__ Piece<T, kWidth> rounded(Accumulator<T> weight) const {
    Piece<T, kWidth> piece;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) piece.values[i] = narrow<T>(weight * values[i]);
    return piece;
  }
};

template <typename T, int kWidth>
__device__ Piece<T, kWidth> zero_piece() {
  Piece<T, kWidth> piece;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) piece.values[i] = narrow<T>(0);
  return piece;
}

/// Loads of what is read once: past the first cache.
template <typename T, int kWidth>
__device__ Piece<T, kWidth> load_once(const T* address) {
  if constexpr (kHasWord<T, kWidth>) {
    Piece<T, kWidth> piece;
    *reinterpret_cast<Word<T, kWidth>*>(&piece) = __ldcs(reinterpret_cast<const Word<T, kWidth>*>(address));
    return piece;
  } else {
    return *reinterpret_cast<const Piece<T, kWidth>*>(address);
  }
}

template <typename T, int kWidth>
__device__ Piece<T, kWidth> load(const T* address) {
  if constexpr (kHasWord<T, kWidth>) {
    Piece<T, kWidth> piece;
    *reinterpret_cast<Word<T, kWidth>*>(&piece) = __ldg(reinterpret_cast<const Word<T, kWidth>*>(address));
    return piece;
  } else {
    return *reinterpret_cast<const Piece<T, kWidth>*>(address);
  }
}

template <typename T, int kWidth>
__device__ void store(T* address, const Piece<T, kWidth>& piece) {
  if constexpr (kHasWord<T, kWidth>) {
    *reinterpret_cast<Word<T, kWidth>*>(address) = *reinterpret_cast<const Word<T, kWidth>*>(&piece);
  } else {
    *reinterpret_cast<Piece<T, kWidth>*>(address) = piece;
  }
}

/// What is not read again soon.
template <typename T, int kWidth>
__device__ void store_once(T* address, const Piece<T, kWidth>& piece) {
  if constexpr (kHasWord<T, kWidth>) {
    __stcs(reinterpret_cast<Word<T, kWidth>*>(address), *reinterpret_cast<const Word<T, kWidth>*>(&piece));
  } else {
    *reinterpret_cast<Piece<T, kWidth>*>(address) = piece;
  }
}

}  // namespace lighthouse::kernels::cuda
