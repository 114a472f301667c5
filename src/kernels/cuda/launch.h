// Host side of launches: kernels' names for element types, whether 16-byte pieces fit, errors.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "kernels/cuda/kernels.h"

/// CUDA's own, behind assert(), which a release build does without.
extern "C" __host__ __device__ void __assert_fail(const char* assertion, const char* file, unsigned line,
                                                  const char* function) noexcept;

namespace lighthouse::kernels::cuda {

inline cudaStream_t stream_of(Stream stream) { return static_cast<cudaStream_t>(stream); }

/// Launches a kernel and says what came of this launch. Not by cudaGetLastError(): that may hold what another's call in
/// this thread left, which is not ours to report, nor to take away. (A kernel that faulted shows in every call after
/// it.)
template <typename... Parameters, typename... Arguments>
Status launch_kernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, Stream stream,
                     const Arguments&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream_of(stream);
  const cudaError_t error = cudaLaunchKernelEx(&config, kernel, arguments...);
  if (error == cudaSuccess) return nullptr;
  cudaGetLastError();  // reported here, and not once more by whoever asks next
  return cudaGetErrorString(error);
}

/// Calls body with a null pointer to the element type.
template <typename Body>
Status for_type(ScalarType type, const Body& body) {
  switch (type) {
    case ScalarType::kFloat32: return body(static_cast<float*>(nullptr));
    case ScalarType::kBFloat16: return body(static_cast<__nv_bfloat16*>(nullptr));
    case ScalarType::kFloat16: return body(static_cast<__half*>(nullptr));
    case ScalarType::kFloat64: return body(static_cast<double*>(nullptr));
  }
  return "an unknown element type";
}

/// Whether each of these addresses, null too, is a whole number of 16-byte pieces.
template <typename... Addresses>
bool on_pieces(const Addresses*... addresses) {
  return ((reinterpret_cast<uintptr_t>(addresses) % 16 == 0) && ...);
}

/// Whether every row starts on 16 bytes and is a whole number of 16-byte pieces.
inline bool fits_pieces(const Rows& rows, int64_t head_dim, int64_t element_size) {
  const auto whole = [&](int64_t elements) { return elements * element_size % 16 == 0; };
  return on_pieces(rows.data) && whole(head_dim) && whole(rows.stride_batch) && whole(rows.stride_head) &&
         whole(rows.stride_row);
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Device code takes windows and tokens as int: divisions of 64-bit numbers take tens of instructions.
struct SmallPyramid {
  static constexpr int kMaxLevels = 32;  // p >= 2: more levels have no window in fewer than 2^31 tokens
  int num_tokens;
  int num_levels;
  int pooling_factor;
  int num_tiles;
  int tile_budget;
  int num_coarsest_windows;
  int num_nodes;
  int tail_begin;
  int tail_rank;
  int retained_length;
  int last_rank;  ///< retained_length - 1.
  int window_length[kMaxLevels];
  int num_windows[kMaxLevels];
  int node_offset[kMaxLevels];
};

inline SmallPyramid small(const Pyramid& p) {
  SmallPyramid s{};
  s.num_tokens = static_cast<int>(p.num_tokens);
  // Without windows there is no level above the tokens, however many were asked for.
  s.num_levels = p.num_coarsest_windows == 0 ? 1 : static_cast<int>(p.num_levels);
  s.pooling_factor = static_cast<int>(p.num_levels == 1 || p.pooling_factor > INT32_MAX ? 2 : p.pooling_factor);
  s.num_tiles = static_cast<int>(p.num_tiles);
  s.tile_budget = static_cast<int>(p.tile_budget < INT32_MAX ? p.tile_budget : INT32_MAX);
  s.num_coarsest_windows = static_cast<int>(p.num_coarsest_windows);
  s.num_nodes = static_cast<int>(p.num_nodes);
  s.tail_begin = static_cast<int>(p.tail_begin);
  s.tail_rank = static_cast<int>(p.tail_rank);
  s.retained_length = static_cast<int>(p.retained_length);
  s.last_rank = s.retained_length - 1;
  for (int level = 0; level < s.num_levels; ++level) {
    s.window_length[level] = static_cast<int>(p.window_length[level]);
    s.num_windows[level] = static_cast<int>(p.num_windows[level]);
    s.node_offset[level] = static_cast<int>(p.node_offset[level]);
  }
  return s;
}

/// A rank, as nodes have it, that is surely one of the rows: nodes of another tree, or none at all, may hold anything,
/// and every access goes through here.
inline __device__ int bounded_rank(const SmallPyramid& p, int rank) {
  return static_cast<int>(min(static_cast<unsigned>(rank), static_cast<unsigned>(p.last_rank)));
}

/// Says that the nodes are of a tree of other sizes. The host cannot look without waiting; so this is as an index out
/// of range is in torch: a message, and the device's error at the next call.
inline __device__ void fail_tree() {
  __assert_fail("lighthouse: the tree's nodes must be of the same num_levels, pooling_factor, top_k and num_tiles",
                __FILE__, __LINE__, "fail_tree");
}

/// The last window's rank, the highest of them all, depends on the sizes alone: a tree of others has another.
inline __device__ void check_tree(const SmallPyramid& p, const Node* nodes) {
  if (p.num_nodes != 0 && nodes[p.num_nodes - 1] >> kRankShift != p.tail_rank - 1) fail_tree();
}

}  // namespace lighthouse::kernels::cuda
