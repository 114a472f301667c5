// The operators, called through the dispatcher: from here on autograd, fake tensors and back ends take their turn.
//
// Shapes: query [B, H, N, D]; key, value [B, K, N, D]; nodes int32 [B, K, windows of levels >= 1]; S retained entries.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <tuple>

#include "lighthouse/attention.h"

namespace lighthouse::ops {

using Tensors2 = std::tuple<at::Tensor, at::Tensor>;
using Tensors3 = std::tuple<at::Tensor, at::Tensor, at::Tensor>;
using Tensors4 = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

/// The tree's nodes. No gradient.
at::Tensor select(const at::Tensor& query, const at::Tensor& key, const std::optional<Scores>& scores,
                  const SelectionOptions& options);
at::Tensor select_windows(const WindowScores& scores, const c10::SymInt& num_tokens, const SelectionOptions& options);
/// Rotated query and key, by the opposite angles where `inverse`.
Tensors2 rotary(const at::Tensor& query, const at::Tensor& key, const at::Tensor& cos, const at::Tensor& sin,
                bool inverse);
/// Rotated query and key, and the scores of windows, float32 [B, K, windows of levels >= 1].
Tensors4 rotary_score(const at::Tensor& query, const at::Tensor& key, const at::Tensor& cos, const at::Tensor& sin,
                      const PyramidOptions& options);
/// Pooled rows [.., S, D] of the three, and the adjoint, [.., N, D].
Tensors3 gather(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& nodes,
                const PyramidOptions& options);
Tensors3 gather_backward(const at::Tensor& grad_query, const at::Tensor& grad_key, const at::Tensor& grad_value,
                         const at::Tensor& nodes, const c10::SymInt& num_tokens, const PyramidOptions& options);
/// [B, H, S, D] -> [B, H, N, D], and the adjoint.
at::Tensor scatter(const at::Tensor& output, const at::Tensor& nodes, const c10::SymInt& num_tokens,
                   const PyramidOptions& options);
at::Tensor scatter_backward(const at::Tensor& grad_output, const at::Tensor& nodes, const PyramidOptions& options);
/// int32 and bool [B, K, S].
at::Tensor entries(const at::Tensor& nodes, const c10::SymInt& num_tokens, const PyramidOptions& options);
at::Tensor writes(const at::Tensor& nodes, const c10::SymInt& num_tokens, const PyramidOptions& options);

}  // namespace lighthouse::ops
