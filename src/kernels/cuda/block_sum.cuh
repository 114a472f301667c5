// Sums over the threads of a block, in an order that depends on the block's size alone.
#pragma once

namespace lighthouse::kernels::cuda {

constexpr int kMostWarps = 32;

/// Sums of several values at once over a block. A call uses the half of the buffer that the call before did not, so
/// that one barrier a call is enough.
template <int kValues>
class BlockSums {
 public:
  using Buffer = float[2][kMostWarps][kValues];

  __device__ explicit BlockSums(Buffer& buffer) : buffer_(buffer) {}

  /// All threads must call it; all get the sums.
  __device__ void sum(float (&values)[kValues]) {
#pragma unroll
    for (int v = 0; v < kValues; ++v) {
#pragma unroll
      for (int lane = 16; lane > 0; lane /= 2) values[v] += __shfl_xor_sync(0xffffffffU, values[v], lane);
    }
    const int warps = static_cast<int>(blockDim.x) / 32;
    if (warps == 1) return;
    if (threadIdx.x % 32 == 0) {
#pragma unroll
      for (int v = 0; v < kValues; ++v) buffer_[half_][threadIdx.x / 32][v] = values[v];
    }
    __syncthreads();
#pragma unroll
    for (int v = 0; v < kValues; ++v) {
      values[v] = 0;
      for (int warp = 0; warp < warps; ++warp) values[v] += buffer_[half_][warp][v];
    }
    half_ ^= 1;
  }

 private:
  Buffer& buffer_;
  int half_ = 0;
};

}  // namespace lighthouse::kernels::cuda
