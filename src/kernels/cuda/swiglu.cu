// SwiGLU: silu(gate) * up, of rows that hold the gate's columns and then the up projection's.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/rows.cuh"

namespace lighthouse::kernels::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRows = 4;  // of a block, so that their loads overlap
constexpr int kMostGridRows = 65535;

struct SwigluLaunch {
  int64_t rows;
  int columns;
  const void* gate_up;
  const void* grad_output;  // backward
  void* grad_gate_up;       // backward
  void* output;
};

template <typename T, int kWidth, bool kBackward>
__global__ void __launch_bounds__(kThreads) swiglu_kernel(const __grid_constant__ SwigluLaunch s) {
  const int column = static_cast<int>(blockIdx.x * kThreads + threadIdx.x) * kWidth;
  if (column >= s.columns) return;
  for (int64_t first = int64_t{blockIdx.y} * kRows; first < s.rows; first += int64_t{gridDim.y} * kRows) {
    Piece<T, kWidth> gate[kRows], up[kRows], grad[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int64_t row = first + r < s.rows ? first + r : s.rows - 1;
      const T* const here = static_cast<const T*>(s.gate_up) + row * 2 * s.columns + column;
      gate[r] = load_once<T, kWidth>(here);
      up[r] = load_once<T, kWidth>(here + s.columns);
      if constexpr (kBackward) {
        grad[r] = load_once<T, kWidth>(static_cast<const T*>(s.grad_output) + row * s.columns + column);
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (first + r >= s.rows) continue;
      Piece<T, kWidth> output;
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const float g = widen(gate[r].values[i]), u = widen(up[r].values[i]);
        const float sigmoid = __fdividef(1.0F, 1.0F + __expf(-g));
        const float silu = g * sigmoid;
        output.values[i] = narrow<T>(silu * u);
        if constexpr (kBackward) {
          const float slope = widen(grad[r].values[i]);
          gate[r].values[i] = narrow<T>(slope * u * sigmoid * (1.0F + g * (1.0F - sigmoid)));
          up[r].values[i] = narrow<T>(slope * silu);
        }
      }
      const int64_t row = first + r;
      if (s.output != nullptr) store<T, kWidth>(static_cast<T*>(s.output) + row * s.columns + column, output);
      if constexpr (kBackward) {
        T* const there = static_cast<T*>(s.grad_gate_up) + row * 2 * s.columns + column;
        store<T, kWidth>(there, gate[r]);
        store<T, kWidth>(there + s.columns, up[r]);
      }
    }
  }
}

}  // namespace

Status swiglu(const SwigluParameters& p, Stream stream) {
  if (p.rows == 0 || p.columns == 0) return nullptr;
  return for_type(p.scalar_type, [&](auto* type) -> Status {
    using T = std::remove_pointer_t<decltype(type)>;
    if constexpr (std::is_same_v<T, double>) {
      return "float64 SwiGLU is not built for CUDA";
    } else {
      const bool wide = p.columns % kWide<T> == 0 && on_pieces(p.gate_up, p.output, p.grad_output, p.grad_gate_up);
      const int width = wide ? kWide<T> : 1;
      const int64_t row_blocks = ceil_div(p.rows, kRows);
      const dim3 grid(static_cast<unsigned>(ceil_div(ceil_div(p.columns, width), kThreads)),
                      static_cast<unsigned>(row_blocks < kMostGridRows ? row_blocks : kMostGridRows));
      const SwigluLaunch s{p.rows, static_cast<int>(p.columns), p.gate_up, p.grad_output, p.grad_gate_up, p.output};
      const auto launch = [&](auto kernel) { return launch_kernel(kernel, grid, kThreads, stream, s); };
      if (p.grad_output == nullptr)
        return launch(wide ? &swiglu_kernel<T, kWide<T>, false> : &swiglu_kernel<T, 1, false>);
      return launch(wide ? &swiglu_kernel<T, kWide<T>, true> : &swiglu_kernel<T, 1, true>);
    }
  });
}

}  // namespace lighthouse::kernels::cuda
