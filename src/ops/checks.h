// What operators expect of their arguments. Each failure is a c10::ValueError or c10::TypeError that names the
// operator, what it expected and what came. Sizes are compared as SymInt, so the same checks serve real and symbolic
// shapes.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "kernels/parameters.h"
#include "lighthouse/geometry.h"

namespace lighthouse::ops {

/// Geometry, with its errors in the operator's name.
Geometry make_geometry(const char* op, int64_t num_tokens, const PyramidOptions& options);

/// Geometry whose ranks also fit the 32-bit words that trees are made of.
Geometry make_tree_geometry(const char* op, int64_t num_tokens, const PyramidOptions& options);

/// query [B, H, rows, D] and key, value [B, K, rows, D] with K dividing H; the same floating dtype and device.
void check_heads(const char* op, const char* rows, const at::Tensor& query, const at::Tensor& key,
                 const std::optional<at::Tensor>& value);

/// A [B, heads, rows, D] tensor with heads a multiple of the nodes' K.
void check_rows(const char* op, const char* name, const at::Tensor& tensor, const c10::SymInt& rows,
                const at::Tensor& nodes);

/// nodes: int32 [B, K, windows of levels >= 1].
void check_nodes(const char* op, const at::Tensor& nodes, const c10::SymInt& num_tokens, const PyramidOptions& options);

/// Nodes that belong to the batch, KV heads and device of `key`.
void check_nodes_match(const char* op, const at::Tensor& nodes, const at::Tensor& key);

/// Scores, both or neither: floating, [B, K, N]. And causal_selection always covers the prefix.
void check_selection(const char* op, const at::Tensor& key, const std::optional<at::Tensor>& query_scores,
                     const std::optional<at::Tensor>& key_scores, bool cover_prefix, bool causal_selection);

/// Scores of windows: both float32 [B, K, windows of levels >= 1]. And causal_selection always covers the prefix.
void check_window_scores(const char* op, const at::Tensor& query_scores, const at::Tensor& key_scores,
                         const c10::SymInt& num_tokens, const PyramidOptions& options, bool cover_prefix,
                         bool causal_selection);

/// cos and sin: float32 [N, D / 2] on query's device, for an even D.
void check_angles(const char* op, const at::Tensor& query, const at::Tensor& cos, const at::Tensor& sin);

/// What a caller's inner attention returned for its query: of the same shape, dtype and device.
void check_inner_output(const char* op, const at::Tensor& output, const at::Tensor& query);

/// The kernels' name of the tensor's dtype.
kernels::ScalarType kernel_scalar_type(const char* op, const at::Tensor& tensor);

}  // namespace lighthouse::ops
