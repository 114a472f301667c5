// Tensors to what kernels take; the same for every back end.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/parameters.h"
#include "lighthouse/attention.h"

namespace lighthouse::ops {

/// Window-reduce, [.., N, D] -> [.., S, D], or window-broadcast, [.., S, D] -> [.., N, D].
enum class Direction { kReduce, kBroadcast };

/// For the rotation of a tensor: its order of dimensions, where the last is contiguous; contiguous rows in any case.
at::Tensor empty_rotated(const at::Tensor& tensor);

/// Kernels want the last dimension contiguous; any other strides will do.
at::Tensor with_contiguous_rows(const at::Tensor& tensor);

/// Of a [batch, heads, rows, D] tensor.
kernels::Rows rows_of(const at::Tensor& tensor);

/// Uninitialised scores of windows, float [B, K, windows of levels >= 1] each.
WindowScores empty_scores(const Geometry& geometry, const at::Tensor& key);

// Parameters point into their tensors, which the caller keeps until the kernel has been launched.
kernels::ScoreParameters score_parameters(const char* op, const Geometry& geometry, const at::Tensor& query,
                                          const at::Tensor& key, const WindowScores& scores);
kernels::PoolScoresParameters pool_scores_parameters(const Geometry& geometry, const at::Tensor& tokens,
                                                     const at::Tensor& windows);
/// `scores` null: rotation only, whatever the geometry.
kernels::RotaryParameters rotary_parameters(const char* op, const Geometry& geometry, const at::Tensor& query,
                                            const at::Tensor& key, const at::Tensor& rotated_query,
                                            const at::Tensor& rotated_key, const at::Tensor& cos, const at::Tensor& sin,
                                            const WindowScores* scores);
kernels::SelectParameters select_parameters(const Geometry& geometry, const WindowScores& scores,
                                            const at::Tensor& nodes, bool cover_prefix, bool causal_selection);
/// Without heads, tokens and retained.
kernels::WindowParameters window_parameters(const char* op, const Geometry& geometry, kernels::Span span,
                                            const at::Tensor& rows, const at::Tensor& nodes);
/// Without entries and writes.
kernels::ListParameters list_parameters(const at::Tensor& nodes, const Geometry& geometry);

}  // namespace lighthouse::ops
