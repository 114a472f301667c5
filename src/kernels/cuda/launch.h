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

/// Of the launch just made.
inline Status last_status() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
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

/// Whether every row starts on 16 bytes and is a whole number of 16-byte pieces.
inline bool fits_pieces(const Rows& rows, int64_t head_dim, int64_t element_size) {
  const auto whole = [&](int64_t elements) { return elements * element_size % 16 == 0; };
  return reinterpret_cast<uintptr_t>(rows.data) % 16 == 0 && whole(head_dim) && whole(rows.stride_batch) &&
         whole(rows.stride_head) && whole(rows.stride_row);
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
  for (int level = 0; level < s.num_levels; ++level) {
    s.window_length[level] = static_cast<int>(p.window_length[level]);
    s.num_windows[level] = static_cast<int>(p.num_windows[level]);
    s.node_offset[level] = static_cast<int>(p.node_offset[level]);
  }
  return s;
}

/// Nodes of a tree of other sizes lead outside what is allocated by these. The host cannot look without waiting; so
/// this is as an index out of range is in torch: a message, and the device's error at the next call.
inline __device__ void fail_tree() {
  __assert_fail("lighthouse: the tree's nodes must be of the same num_levels, pooling_factor, top_k and num_tiles",
                __FILE__, __LINE__, "fail_tree");
}

/// Where the last window's rank, the highest of them all, is what it must be, no rank is beyond the rows.
inline __device__ void check_tree(const SmallPyramid& p, const Node* nodes) {
  if (p.num_nodes != 0 && nodes[p.num_nodes - 1] >> kRankShift != p.tail_rank - 1) fail_tree();
}

}  // namespace lighthouse::kernels::cuda
