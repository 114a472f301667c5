#include "ops/kernel_arguments.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "kernels/pyramid.h"
#include "ops/checks.h"

namespace lighthouse::ops {

using at::Tensor;

Tensor with_contiguous_rows(const Tensor& tensor) {
  return tensor.stride(-1) == 1 || tensor.size(-1) == 1 ? tensor : tensor.contiguous();
}

Tensor empty_rotated(const Tensor& tensor) {
  const bool rows = tensor.sym_stride(-1) == 1;
  if (rows) {
    // Rows that overlap, or are all the same one, leave empty_like the choice of an order: not always the last
    // dimension innermost.
    Tensor like = at::empty_like(tensor, {}, at::MemoryFormat::Preserve);
    if (like.sym_stride(-1) == 1) return like;
  }
  return at::empty_like(tensor, {}, at::MemoryFormat::Contiguous);
}

kernels::Rows rows_of(const Tensor& tensor) {
  return {tensor.data_ptr(), tensor.stride(0), tensor.stride(1), tensor.stride(2)};
}

WindowScores empty_scores(const Geometry& geometry, const Tensor& key) {
  const auto options = key.options().dtype(at::kFloat);
  return {at::empty({key.size(0), key.size(1), geometry.num_scored_windows()}, options),
          at::empty({key.size(0), key.size(1), geometry.num_scored_windows()}, options)};
}

kernels::ScoreParameters score_parameters(const char* op, const Geometry& geometry, const Tensor& query,
                                          const Tensor& key, const WindowScores& scores) {
  kernels::ScoreParameters parameters;
  parameters.pyramid = kernels::to_pyramid(geometry);
  parameters.scalar_type = kernel_scalar_type(op, query);
  parameters.batch = query.size(0);
  parameters.query_heads = query.size(1);
  parameters.kv_heads = key.size(1);
  parameters.head_dim = query.size(3);
  parameters.query = rows_of(query);
  parameters.key = rows_of(key);
  parameters.query_scores = scores.query.mutable_data_ptr<float>();
  parameters.key_scores = scores.key.mutable_data_ptr<float>();
  return parameters;
}

kernels::PoolScoresParameters pool_scores_parameters(const Geometry& geometry, const Tensor& tokens,
                                                     const Tensor& windows) {
  kernels::PoolScoresParameters parameters;
  parameters.pyramid = kernels::to_pyramid(geometry);
  parameters.batch = tokens.size(0);
  parameters.kv_heads = tokens.size(1);
  parameters.tokens = {tokens.const_data_ptr<float>(), tokens.stride(0), tokens.stride(1), tokens.stride(2)};
  parameters.window_scores = windows.mutable_data_ptr<float>();
  return parameters;
}

kernels::RotaryParameters rotary_parameters(const char* op, const Geometry& geometry, const Tensor& query,
                                            const Tensor& key, const Tensor& rotated_query, const Tensor& rotated_key,
                                            const Tensor& cos, const Tensor& sin, const WindowScores* scores) {
  kernels::RotaryParameters parameters;
  parameters.pyramid = kernels::to_pyramid(geometry);
  parameters.scalar_type = kernel_scalar_type(op, query);
  parameters.batch = query.size(0);
  parameters.query_heads = query.size(1);
  parameters.kv_heads = key.size(1);
  parameters.num_tokens = query.size(2);
  parameters.head_dim = query.size(3);
  parameters.query = rows_of(query);
  parameters.key = rows_of(key);
  parameters.rotated_query = rows_of(rotated_query);
  parameters.rotated_key = rows_of(rotated_key);
  parameters.cos = cos.const_data_ptr<float>();
  parameters.sin = sin.const_data_ptr<float>();
  parameters.cos_stride = cos.stride(0);
  parameters.sin_stride = sin.stride(0);
  if (scores != nullptr) {
    parameters.query_scores = scores->query.mutable_data_ptr<float>();
    parameters.key_scores = scores->key.mutable_data_ptr<float>();
  }
  return parameters;
}

kernels::SelectParameters select_parameters(const Geometry& geometry, const WindowScores& scores, const Tensor& nodes,
                                            bool cover_prefix, bool causal_selection) {
  kernels::SelectParameters parameters;
  parameters.pyramid = kernels::to_pyramid(geometry);
  parameters.trees = nodes.size(0) * nodes.size(1);
  parameters.cover_prefix = cover_prefix;
  parameters.causal_selection = causal_selection;
  parameters.query_scores = scores.query.const_data_ptr<float>();
  parameters.key_scores = scores.key.const_data_ptr<float>();
  parameters.nodes = nodes.mutable_data_ptr<int32_t>();
  return parameters;
}

kernels::WindowParameters window_parameters(const char* op, const Geometry& geometry, kernels::Span span,
                                            const Tensor& rows, const Tensor& nodes) {
  kernels::WindowParameters parameters;
  parameters.pyramid = kernels::to_pyramid(geometry);
  parameters.scalar_type = kernel_scalar_type(op, rows);
  parameters.span = span;
  parameters.batch = rows.size(0);
  parameters.kv_heads = nodes.size(1);
  parameters.head_dim = rows.size(3);
  parameters.nodes = nodes.const_data_ptr<int32_t>();
  return parameters;
}

kernels::ListParameters list_parameters(const Tensor& nodes, const Geometry& geometry) {
  kernels::ListParameters parameters;
  parameters.pyramid = kernels::to_pyramid(geometry);
  parameters.trees = nodes.size(0) * nodes.size(1);
  parameters.nodes = nodes.const_data_ptr<int32_t>();
  return parameters;
}

}  // namespace lighthouse::ops
