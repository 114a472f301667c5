// What the kernels take: plain sizes, pointers and strides, so that they compile in seconds and know no framework.
//
// Strides and offsets are in elements and 64 bits wide: B * H * N * D passes 2^31 in normal use.
#pragma once

#include <cstdint>

#include "kernels/node.h"

namespace lighthouse::kernels {

enum class ScalarType { kFloat32, kBFloat16, kFloat16, kFloat64 };

/// A [batch, heads, rows, head_dim] array whose last dimension is contiguous.
struct Rows {
  void* data = nullptr;
  int64_t stride_batch = 0;
  int64_t stride_head = 0;
  int64_t stride_row = 0;
};

/// A [batch, kv_heads, num_tokens] array of float, any strides.
struct TokenScores {
  const float* data = nullptr;
  int64_t stride_batch = 0;
  int64_t stride_head = 0;
  int64_t stride_token = 0;
};

/// Geometry as plain data: kernels compiled for several instruction sets may not share inline functions, and device
/// code takes its parameters by value. Levels beyond num_levels are not filled.
struct Pyramid {
  static constexpr int64_t kMaxLevels = 64;
  int64_t num_tokens = 0;
  int64_t num_levels = 1;
  int64_t pooling_factor = 2;
  int64_t num_tiles = 1;
  int64_t tile_budget = 0;
  int64_t num_coarsest_windows = 0;
  int64_t num_nodes = 0;   ///< Windows of levels >= 1.
  int64_t tail_begin = 0;  ///< First tail token.
  int64_t tail_rank = 0;   ///< Its place in the gathered sequence.
  int64_t retained_length = 0;
  int64_t window_length[kMaxLevels] = {};
  int64_t num_windows[kMaxLevels] = {};
  int64_t node_offset[kMaxLevels] = {};  ///< First node of a level >= 1 among the nodes.
};

/// Norms of the stored vectors to per-window maxima (docs/ALGORITHM.md, 3).
struct ScoreParameters {
  Pyramid pyramid;
  ScalarType scalar_type = ScalarType::kFloat32;
  int64_t batch = 0;
  int64_t query_heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  Rows query;                     ///< [B, H, N, D]
  Rows key;                       ///< [B, K, N, D]
  float* query_scores = nullptr;  ///< [B, K, num_nodes], contiguous
  float* key_scores = nullptr;    ///< [B, K, num_nodes], contiguous
};

/// Rotary embedding, pair (d, d + D/2) of every row by its token's angle; and the scores of the rows as they are
/// stored.
struct RotaryParameters {
  Pyramid pyramid;
  ScalarType scalar_type = ScalarType::kFloat32;
  int64_t batch = 0;
  int64_t query_heads = 0;
  int64_t kv_heads = 0;
  int64_t num_tokens = 0;
  int64_t head_dim = 0;  ///< Even.
  Rows query;            ///< [B, H, N, D]
  Rows key;              ///< [B, K, N, D]
  Rows rotated_query;
  Rows rotated_key;
  const float* cos = nullptr;  ///< [N, D/2]
  const float* sin = nullptr;
  int64_t cos_stride = 0;
  int64_t sin_stride = 0;
  bool inverse = false;           ///< By the opposite angles.
  float* query_scores = nullptr;  ///< [B, K, num_nodes], contiguous; or null
  float* key_scores = nullptr;
};

/// A caller's per-token scores to per-window maxima.
struct PoolScoresParameters {
  Pyramid pyramid;
  int64_t batch = 0;
  int64_t kv_heads = 0;
  TokenScores tokens;              ///< [B, K, N]
  float* window_scores = nullptr;  ///< [B, K, num_nodes], contiguous
};

/// The coarse-to-fine cascade (docs/ALGORITHM.md, 4 and 4b).
struct SelectParameters {
  Pyramid pyramid;
  int64_t trees = 0;  ///< B * K
  bool cover_prefix = true;
  bool causal_selection = false;
  const float* query_scores = nullptr;  ///< [trees, num_nodes]
  const float* key_scores = nullptr;    ///< [trees, num_nodes]
  Node* nodes = nullptr;                ///< [trees, num_nodes]
};

/// Which tokens an entry stands for.
enum class Span {
  kWindow,      ///< The tokens it pools; weight p^-level. Gather and its adjoint.
  kWriteRange,  ///< The tokens its output is added to; weight 1. Scatter and its adjoint.
};

/// Window-reduce and window-broadcast (docs/ALGORITHM.md, 6), each the other's adjoint for the same span:
///   reduce     retained[r] = weight * sum of tokens[j] over r's span
///   broadcast  tokens[j]   = sum of weight * retained[r] over the entries r whose span holds j, coarse to fine
struct WindowParameters {
  Pyramid pyramid;
  ScalarType scalar_type = ScalarType::kFloat32;
  Span span = Span::kWindow;
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;  ///< Head h follows the tree of KV head h / (heads / kv_heads).
  int64_t head_dim = 0;
  const Node* nodes = nullptr;  ///< [B, K, num_nodes], contiguous
  Rows tokens;                  ///< [B, heads, N, D]
  Rows retained;                ///< [B, heads, S, D]
};

/// A vector times the rows of a matrix: output[o] = sum of input[i] * weight[o, i]. float32 or bfloat16 weights.
struct RowProductParameters {
  ScalarType scalar_type = ScalarType::kFloat32;
  int64_t rows = 0;
  int64_t columns = 0;
  const void* weight = nullptr;  ///< [rows, columns], contiguous
  const float* input = nullptr;  ///< [columns]
  float* output = nullptr;       ///< [rows]
};

/// The attention of one token's query heads to `length` keys, for float32 or bfloat16 keys and values. `parts` holds,
/// for each head and each piece of the context, the largest score, the sum of weights and the weighted sum of values.
struct TokenAttentionParameters {
  ScalarType scalar_type = ScalarType::kFloat32;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t length = 0;
  float scale = 1;
  const float* query = nullptr;  ///< [H, D], contiguous
  Rows key;                      ///< [1, K, length, D]
  Rows value;                    ///< [1, K, length, D]
  float* output = nullptr;       ///< [H, D], contiguous
  float* parts = nullptr;        ///< [H, pieces, 2 + D], contiguous
};

/// The retained entries as lists.
struct ListParameters {
  Pyramid pyramid;
  int64_t trees = 0;            ///< B * K
  const Node* nodes = nullptr;  ///< [trees, num_nodes]
  int32_t* entries = nullptr;   ///< [trees, S] flat pyramid indices, or null
  bool* writes = nullptr;       ///< [trees, S], or null
};

}  // namespace lighthouse::kernels
