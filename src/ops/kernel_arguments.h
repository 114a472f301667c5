// Tensors to what kernels take; the same for every back end.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/parameters.h"
#include "lighthouse/attention.h"

namespace lighthouse::ops {

/// Window-reduce, [.., N, D] -> [.., S, D], or window-broadcast, [.., S, D] -> [.., N, D].
enum class Direction { kReduce, kBroadcast };

/// Kernels want the last dimension contiguous; any other strides will do.
at::Tensor with_contiguous_rows(const at::Tensor& tensor);

/// Of a [batch, heads, rows, D] tensor.
kernels::Rows rows_of(const at::Tensor& tensor);

/// Uninitialised scores of windows, float [B, K, windows of levels >= 1] each.
Scores empty_scores(const Geometry& geometry, const at::Tensor& key);

// Parameters point into their tensors, which the caller keeps until the kernel has been launched.
kernels::ScoreParameters score_parameters(const char* op, const Geometry& geometry, const at::Tensor& query,
                                          const at::Tensor& key, const Scores& scores);
kernels::PoolScoresParameters pool_scores_parameters(const Geometry& geometry, const at::Tensor& tokens,
                                                     const at::Tensor& windows);
kernels::SelectParameters select_parameters(const Geometry& geometry, const Scores& scores, const at::Tensor& nodes,
                                            bool cover_prefix, bool causal_selection);
/// Without heads, tokens and retained.
kernels::WindowParameters window_parameters(const char* op, const Geometry& geometry, kernels::Span span,
                                            const at::Tensor& rows, const at::Tensor& nodes);
/// Without entries and writes.
kernels::ListParameters list_parameters(const at::Tensor& nodes, const Geometry& geometry);

}  // namespace lighthouse::ops
