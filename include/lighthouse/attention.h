// Lighthouse attention on torch tensors: the whole layer, and its stages apart.
//
//   attention = select -> gather -> inner attention (any causal kernel) -> scatter
//
// Shapes: B batch, H query heads, K key/value heads (K divides H), N tokens, D head dimension, S retained entries.
// Dtypes: float32, bfloat16 and float64; float16 too on CUDA, where attention() has no float64. Any strides; the last
// dimension is made contiguous if it is not. Errors: c10::Error (Python: ValueError or TypeError) naming what was
// expected and what came.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "lighthouse/geometry.h"

namespace lighthouse {

/// Which windows are expanded.
struct SelectionOptions : PyramidOptions {
  /// Expand window 0 at every level, so that every position has an output. Always on with causal_selection.
  bool cover_prefix = true;
  /// Locally causal selection: whether a query is refined depends on what came before its window only.
  bool causal_selection = false;
};

/// Per-token selection scores in place of the norms of q and k: each [B, K, N], any floating type, compared as float32.
struct Scores {
  at::Tensor query;
  at::Tensor key;
};

/// Selection scores of whole windows, as rotary_score() makes them: float32 [B, K, windows of levels >= 1] each, the
/// maximum over a window's tokens; for the pyramid options that they were made for.
struct WindowScores {
  at::Tensor query;
  at::Tensor key;
};

/// The retained entries of each (batch, key/value head).
struct Tree {
  at::Tensor nodes;   ///< int32 [B, K, windows of levels >= 1]; packed, see docs/ALGORITHM.md.
  Geometry geometry;  ///< N, L, p, k, n.

  /// Flat pyramid indices in gathered order: int32 [B, K, S].
  at::Tensor entries() const;
  /// Whether each gathered row is added to the output (all true but with causal_selection): bool [B, K, S].
  at::Tensor writes() const;
};

/// The gathered sequence: query [B, H, S, D], key and value [B, K, S, D].
struct Gathered {
  at::Tensor query;
  at::Tensor key;
  at::Tensor value;
};

/// torch's kernels for the attention that runs on the gathered rows, and on all rows where attention is dense.
enum class InnerKernel {
  kAuto,       ///< What environment variable LIGHTHOUSE_INNER names; without it the fastest that fits (docs/PYTHON.md).
  kCudnn,      ///< CUDA, 16-bit types, D <= 128. Its gradient of the queries differs from run to run.
  kFlash,      ///< CUDA: FlashAttention-2, 16-bit types, D <= 256. CPU: torch's flash kernel.
  kEfficient,  ///< CUDA: the memory-efficient kernel, all types but float64.
  kMath,       ///< Plain products, all types: holds an S x S matrix for every head.
};

/// "auto", "cudnn", "flash", "efficient" or "math".
const char* name_of(InnerKernel kernel);

/// The kernel of that name. Throws c10::ValueError with the list.
InnerKernel inner_kernel_named(const std::string& name);

/// The kernel that dense_attention runs for a query [B, H, N, D]: never kAuto. Throws where the one that is named, by
/// the caller or by LIGHTHOUSE_INNER, cannot run: another type, head dimension or device than it takes, or torch's
/// deterministic mode with a kernel that is not.
InnerKernel chosen_inner_kernel(const at::Tensor& query, InnerKernel kernel = InnerKernel::kAuto);

/// A causal attention kernel over (query [B, H, S, D], key [B, K, S, D], value [B, K, S, D], scale) -> [B, H, S, D].
using InnerAttention =
    std::function<at::Tensor(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, double scale)>;

struct AttentionOptions : SelectionOptions {
  std::optional<double> scale;                ///< Default 1 / sqrt(D).
  std::optional<Scores> scores;               ///< Default: the vectors' own norms.
  std::optional<WindowScores> window_scores;  ///< In place of both: no pass over query and key is needed then.
  InnerAttention inner;                       ///< Default: dense_attention, with inner_kernel.
  InnerKernel inner_kernel = InnerKernel::kAuto;
};

/// Chooses the entries to keep. O(N D) to score, no gradient. query [B, H, N, D], key [B, K, N, D].
Tree select(const at::Tensor& query, const at::Tensor& key, const SelectionOptions& options = {},
            const std::optional<Scores>& scores = std::nullopt);

/// The same from scores of windows, of a sequence of num_tokens.
Tree select(const WindowScores& scores, int64_t num_tokens, const SelectionOptions& options = {});

/// Pools the retained windows, in order. Differentiable in query, key and value.
Gathered gather(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const Tree& tree);

/// Adds each retained row to the positions it speaks for: [B, H, S, D] -> [B, H, N, D]. Differentiable.
at::Tensor scatter(const at::Tensor& output, const Tree& tree);

/// Causal softmax attention over the whole sequence by torch's own kernel; never holds an N x N matrix, unless kMath is
/// named.
at::Tensor dense_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                           std::optional<double> scale = std::nullopt, InnerKernel kernel = InnerKernel::kAuto);

/// The layer: query [B, H, N, D], key and value [B, K, N, D] -> [B, H, N, D].
///
/// Costs O(N D) beside the inner attention over S rows. Where S >= N the method has nothing to give: dense attention
/// runs instead, and a warning says so, once for each N and options.
at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                     const AttentionOptions& options = {});

}  // namespace lighthouse
