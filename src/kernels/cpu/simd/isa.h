// The vectorised kernels, compiled once per instruction set: each copy in a namespace of its own, LIGHTHOUSE_ISA.
//
// The files of this folder use no standard library and no inline function of other headers: the linker keeps one copy
// of such functions, possibly one with instructions that the machine lacks. Floating-point contraction is off, and the
// order of every sum is fixed, so that all copies give the same bits.
#pragma once

#include "kernels/parameters.h"

namespace lighthouse::kernels::cpu {

/// Each works on items [begin, end) of a flat range; the dispatcher cuts the range into threads.
struct VectorKernels {
  const char* name;
  /// Items: B * K * (level-1 windows). Fills the scores of level 1.
  void (*score)(const ScoreParameters& parameters, int64_t begin, int64_t end);
  /// Items: B * heads * (M + tail tokens / kTailRowsPerItem, rounded up). `scratch`: see dispatch.cpp.
  void (*window_reduce)(const WindowParameters& parameters, int64_t begin, int64_t end, void* scratch);
  /// Items: B * heads * N tokens. `scratch`: see dispatch.cpp.
  void (*window_broadcast)(const WindowParameters& parameters, int64_t begin, int64_t end, void* scratch);
  /// Items: K * pieces of kTokensPerPiece keys. Fills `parts`. `scratch` holds kTokensPerPiece floats.
  void (*token_attention)(const TokenAttentionParameters& parameters, int64_t begin, int64_t end, float* scratch);
  /// Items: rows of the matrix.
  void (*row_product)(const RowProductParameters& parameters, int64_t begin, int64_t end);
};

/// Rows of the tail copied as one item of window_reduce.
inline constexpr int64_t kTailRowsPerItem = 256;

/// Keys of one item of token_attention.
inline constexpr int64_t kTokensPerPiece = 512;

// clang-format off
namespace baseline { extern const VectorKernels kKernels; }
namespace avx2 { extern const VectorKernels kKernels; }
namespace avx512 { extern const VectorKernels kKernels; }
// clang-format on

}  // namespace lighthouse::kernels::cpu
