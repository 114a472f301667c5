// Root-mean-square norm with what stands beside it in a decoder: the residual sum before it, and in backward the
// residual's gradient and the normal form, which a matrix product needs once more.
//
// A thread owns one piece of the columns in every row that its block takes, so that the gain and the sums of its
// gradient stay in registers.
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/rows.cuh"

namespace lighthouse::kernels::cuda {
namespace {

constexpr int kMostThreads = 512;
constexpr int kMostBlocks = 1056;

struct NormLaunch {
  int64_t rows;
  int columns;
  float epsilon;
  const void* input;
  const void* addend;  // null: none
  const float* gain;
  void* sum;
  void* output;
  // Backward.
  const void* grad_output;
  const void* grad_residual;  // null: none
  void* grad_input;
  float* grad_gain;  // [blocks, columns]
};

template <int kWidth>
__device__ void load_gain(const NormLaunch& s, int column, bool mine, float (&gain)[kWidth]) {
#pragma unroll
  for (int i = 0; i < kWidth; ++i) gain[i] = mine ? __ldg(s.gain + column + i) : 0.0F;
}

template <typename T, int kWidth>
__global__ void __launch_bounds__(kMostThreads) norm_forward(const __grid_constant__ NormLaunch s) {
  constexpr int kRows = 2;
  __shared__ typename BlockSums<kRows>::Buffer buffer;
  BlockSums<kRows> sums(buffer);
  const int column = static_cast<int>(threadIdx.x) * kWidth;
  const bool mine = column < s.columns;
  float gain[kWidth];
  load_gain(s, column, mine, gain);
  for (int64_t first = int64_t{blockIdx.x} * kRows; first < s.rows; first += int64_t{gridDim.x} * kRows) {
    Piece<T, kWidth> x[kRows];
    float squares[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const bool here = mine && first + r < s.rows;
      const int64_t at = (first + r) * s.columns + column;
      x[r] = here ? load_once<T, kWidth>(static_cast<const T*>(s.input) + at) : zero_piece<T, kWidth>();
      if (s.addend != nullptr && here) {
        const auto addend = load_once<T, kWidth>(static_cast<const T*>(s.addend) + at);
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          x[r].values[i] = narrow<T>(widen(x[r].values[i]) + widen(addend.values[i]));
        }
        store<T, kWidth>(static_cast<T*>(s.sum) + at, x[r]);
      }
      squares[r] = 0;
#pragma unroll
      for (int i = 0; i < kWidth; ++i) squares[r] += widen(x[r].values[i]) * widen(x[r].values[i]);
    }
    sums.sum(squares);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (!mine || first + r >= s.rows) continue;
      const float inverse = rsqrtf(squares[r] / static_cast<float>(s.columns) + s.epsilon);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) x[r].values[i] = narrow<T>(widen(x[r].values[i]) * inverse * gain[i]);
      store<T, kWidth>(static_cast<T*>(s.output) + (first + r) * s.columns + column, x[r]);
    }
  }
}

template <typename T, int kWidth>
__global__ void __launch_bounds__(kMostThreads) norm_backward(const __grid_constant__ NormLaunch s) {
  constexpr int kRows = 2;
  __shared__ typename BlockSums<2 * kRows>::Buffer buffer;
  BlockSums<2 * kRows> sums(buffer);
  const int column = static_cast<int>(threadIdx.x) * kWidth;
  const bool mine = column < s.columns;
  float gain[kWidth], grad_gain[kWidth];
  load_gain(s, column, mine, gain);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) grad_gain[i] = 0;
  for (int64_t first = int64_t{blockIdx.x} * kRows; first < s.rows; first += int64_t{gridDim.x} * kRows) {
    Piece<T, kWidth> x[kRows], grad[kRows], residual[kRows];
    float totals[2 * kRows];  // squares, then products with the gradient
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const bool here = mine && first + r < s.rows;
      const int64_t at = (first + r) * s.columns + column;
      x[r] = here ? load_once<T, kWidth>(static_cast<const T*>(s.input) + at) : zero_piece<T, kWidth>();
      grad[r] = here ? load_once<T, kWidth>(static_cast<const T*>(s.grad_output) + at) : zero_piece<T, kWidth>();
      residual[r] = here && s.grad_residual != nullptr
                        ? load_once<T, kWidth>(static_cast<const T*>(s.grad_residual) + at)
                        : zero_piece<T, kWidth>();
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      totals[r] = 0;
      totals[kRows + r] = 0;
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const float value = widen(x[r].values[i]);
        totals[r] += value * value;
        totals[kRows + r] += value * gain[i] * widen(grad[r].values[i]);
      }
    }
    sums.sum(totals);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (!mine || first + r >= s.rows) continue;
      const int64_t at = (first + r) * s.columns + column;
      const float inverse = rsqrtf(totals[r] / static_cast<float>(s.columns) + s.epsilon);
      const float pull = inverse * inverse * inverse * totals[kRows + r] / static_cast<float>(s.columns);
      Piece<T, kWidth> normal;
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const float value = widen(x[r].values[i]), slope = widen(grad[r].values[i]);
        normal.values[i] = narrow<T>(value * inverse * gain[i]);
        grad_gain[i] += slope * value * inverse;
        residual[r].values[i] = narrow<T>(inverse * gain[i] * slope - value * pull + widen(residual[r].values[i]));
      }
      if (s.output != nullptr) store<T, kWidth>(static_cast<T*>(s.output) + at, normal);
      store<T, kWidth>(static_cast<T*>(s.grad_input) + at, residual[r]);
    }
  }
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    if (mine) s.grad_gain[int64_t{blockIdx.x} * s.columns + column + i] = grad_gain[i];
  }
}

NormLaunch launch_of(const NormParameters& p) {
  return {p.rows,        static_cast<int>(p.columns),
          p.epsilon,     p.input,
          p.addend,      p.gain,
          p.sum,         p.output,
          p.grad_output, p.grad_residual,
          p.grad_input,  p.grad_gain};
}

/// Pieces of 16 bytes where rows are whole numbers of them and start on them.
template <typename T>
int width_of(const NormParameters& p) {
  const bool wide = p.columns % kWide<T> == 0 &&
                    on_pieces(p.input, p.addend, p.sum, p.output, p.grad_output, p.grad_residual, p.grad_input);
  return wide ? kWide<T> : 1;
}

template <typename Launch>
Status launch_norm(const NormParameters& p, const Launch& launch) {
  if (p.rows == 0 || p.columns == 0) return nullptr;
  return for_type(p.scalar_type, [&](auto* type) -> Status {
    using T = std::remove_pointer_t<decltype(type)>;
    if constexpr (std::is_same_v<T, double>) {
      return "float64 norms are not built for CUDA";
    } else {
      const int width = width_of<T>(p);
      const int64_t threads = ceil_div(ceil_div(p.columns, width), 32) * 32;
      if (threads > kMostThreads) return "rows are too long for the norm's kernel";
      return launch(type, width, static_cast<unsigned>(threads));
    }
  });
}

}  // namespace

bool norm_fits(ScalarType type, int64_t columns) {
  const int64_t wide = type == ScalarType::kFloat32 ? 4 : 8;
  return type != ScalarType::kFloat64 && columns <= kMostThreads * (columns % wide == 0 ? wide : 1);
}

int64_t norm_blocks(int64_t rows) {
  const int64_t blocks = ceil_div(rows, 2);
  return blocks < kMostBlocks ? blocks : kMostBlocks;
}

Status rms_norm(const NormParameters& p, Stream stream) {
  return launch_norm(p, [&](auto* type, int width, unsigned threads) {
    using T = std::remove_pointer_t<decltype(type)>;
    const auto grid = static_cast<unsigned>(ceil_div(p.rows, 2) < (1 << 30) ? ceil_div(p.rows, 2) : 1 << 30);
    const auto kernel = width == 1 ? &norm_forward<T, 1> : &norm_forward<T, kWide<T>>;
    return launch_kernel(kernel, grid, threads, stream, launch_of(p));
  });
}

Status rms_norm_backward(const NormParameters& p, Stream stream) {
  return launch_norm(p, [&](auto* type, int width, unsigned threads) {
    using T = std::remove_pointer_t<decltype(type)>;
    const auto kernel = width == 1 ? &norm_backward<T, 1> : &norm_backward<T, kWide<T>>;
    return launch_kernel(kernel, static_cast<unsigned>(norm_blocks(p.rows)), threads, stream, launch_of(p));
  });
}

}  // namespace lighthouse::kernels::cuda
