// The CUDA back end's side of the operators: checks, output allocation, parameters, device and stream.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <vector>

#include "kernels/pyramid.h"
#include "ops/checks.h"
#include "ops/cuda_launch.h"
#include "ops/kernel_arguments.h"
#include "ops/operators.h"
#include "ops/window_operators.h"

namespace lighthouse::ops {
namespace {

using at::Tensor;

Geometry make_cuda_geometry(const char* op, int64_t num_tokens, const PyramidOptions& options) {
  Geometry geometry = make_tree_geometry(op, num_tokens, options);
  check_cuda_geometry(op, geometry);
  return geometry;
}

Tensor pooled_scores(const char* op, const Geometry& geometry, const Tensor& token_scores) {
  const Tensor tokens = token_scores.to(at::kFloat);
  Tensor windows = at::empty({tokens.size(0), tokens.size(1), geometry.num_scored_windows()}, tokens.options());
  check_status(op, kernels::cuda::pool_scores(pool_scores_parameters(geometry, tokens, windows), current_stream()));
  return windows;
}

WindowScores norm_scores(const char* op, const Geometry& geometry, const Tensor& query_in, const Tensor& key_in) {
  const Tensor query = with_contiguous_rows(query_in);
  const Tensor key = with_contiguous_rows(key_in);
  WindowScores scores = empty_scores(geometry, key);
  check_status(op, kernels::cuda::score(score_parameters(op, geometry, query, key, scores), current_stream()));
  return scores;
}

Tensor select_by(const char* op, const WindowScores& scores, const Geometry& geometry, bool cover_prefix,
                 bool causal_selection) {
  Tensor nodes = at::empty(scores.key.sizes(), scores.key.options().dtype(at::kInt));
  const auto parameters = select_parameters(geometry, scores, nodes, cover_prefix, causal_selection);
  const auto bytes = static_cast<int64_t>(kernels::cuda::select_workspace(parameters));
  const Tensor workspace = at::empty({bytes}, scores.key.options().dtype(at::kByte));
  check_status(op, kernels::cuda::select(parameters, workspace.mutable_data_ptr(), current_stream()));
  return nodes;
}

Tensor select_cuda(const Tensor& query, const Tensor& key, const std::optional<Tensor>& query_scores,
                   const std::optional<Tensor>& key_scores, int64_t num_levels, int64_t pooling_factor,
                   std::optional<int64_t> top_k, std::optional<int64_t> num_tiles, bool cover_prefix,
                   bool causal_selection) {
  constexpr const char* kOp = "lighthouse::select";
  check_heads(kOp, "N", query, key, std::nullopt);
  check_selection(kOp, key, query_scores, key_scores, cover_prefix, causal_selection);
  const Geometry geometry = make_cuda_geometry(kOp, query.size(2), {num_levels, pooling_factor, top_k, num_tiles});
  const c10::cuda::CUDAGuard guard(key.device());
  const WindowScores scores = query_scores ? WindowScores{pooled_scores(kOp, geometry, *query_scores),
                                                          pooled_scores(kOp, geometry, *key_scores)}
                                           : norm_scores(kOp, geometry, query, key);
  return select_by(kOp, scores, geometry, cover_prefix, causal_selection);
}

Tensor select_windows_cuda(const Tensor& query_scores, const Tensor& key_scores, int64_t num_tokens, int64_t num_levels,
                           int64_t pooling_factor, std::optional<int64_t> top_k, std::optional<int64_t> num_tiles,
                           bool cover_prefix, bool causal_selection) {
  constexpr const char* kOp = "lighthouse::select_windows";
  const PyramidOptions options{num_levels, pooling_factor, top_k, num_tiles};
  check_window_scores(kOp, query_scores, key_scores, num_tokens, options, cover_prefix, causal_selection);
  const Geometry geometry = make_cuda_geometry(kOp, num_tokens, options);
  const c10::cuda::CUDAGuard guard(key_scores.device());
  return select_by(kOp, {query_scores.contiguous(), key_scores.contiguous()}, geometry, cover_prefix, causal_selection);
}

/// Rotates, and scores where `scores` is not null.
Tensors2 rotate(const char* op, const Geometry& geometry, const Tensor& query_in, const Tensor& key_in,
                const Tensor& cos_in, const Tensor& sin_in, bool inverse, const WindowScores* scores) {
  const Tensor query = with_contiguous_rows(query_in);
  const Tensor key = with_contiguous_rows(key_in);
  const Tensor cos = with_contiguous_rows(cos_in);
  const Tensor sin = with_contiguous_rows(sin_in);
  Tensor rotated_query = empty_rotated(query);
  Tensor rotated_key = empty_rotated(key);
  auto parameters = rotary_parameters(op, geometry, query, key, rotated_query, rotated_key, cos, sin, scores);
  parameters.inverse = inverse;
  check_status(op, kernels::cuda::rotary(parameters, current_stream()));
  return {rotated_query, rotated_key};
}

Tensors2 rotary_cuda(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin, bool inverse) {
  constexpr const char* kOp = "lighthouse::rotary";
  check_heads(kOp, "N", query, key, std::nullopt);
  check_angles(kOp, query, cos, sin);
  const c10::cuda::CUDAGuard guard(query.device());
  PyramidOptions whole;
  whole.num_levels = 1;
  return rotate(kOp, make_cuda_geometry(kOp, query.size(2), whole), query, key, cos, sin, inverse, nullptr);
}

Tensors4 rotary_score_cuda(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin,
                           int64_t num_levels, int64_t pooling_factor, std::optional<int64_t> top_k,
                           std::optional<int64_t> num_tiles) {
  constexpr const char* kOp = "lighthouse::rotary_score";
  check_heads(kOp, "N", query, key, std::nullopt);
  check_angles(kOp, query, cos, sin);
  const Geometry geometry = make_cuda_geometry(kOp, query.size(2), {num_levels, pooling_factor, top_k, num_tiles});
  const c10::cuda::CUDAGuard guard(query.device());
  const WindowScores scores = empty_scores(geometry, key);
  const auto [rotated_query, rotated_key] = rotate(kOp, geometry, query, key, cos, sin, /*inverse=*/false, &scores);
  return {rotated_query, rotated_key, scores.query, scores.key};
}

struct Cuda {
  static Geometry geometry(const char* op, int64_t num_tokens, const PyramidOptions& options) {
    return make_cuda_geometry(op, num_tokens, options);
  }

  /// By the kernels, which bound every rank that they follow: the host would have to wait for the nodes.
  static void check_tree(const char*, const Tensor&, const Geometry&) {}

  static std::vector<Tensor> move(const char* op, Direction direction, kernels::Span span,
                                  const std::vector<Tensor>& inputs, const Tensor& nodes_in, const Geometry& geometry) {
    const c10::cuda::CUDAGuard guard(nodes_in.device());
    const Tensor nodes = nodes_in.contiguous();
    const bool reduce = direction == Direction::kReduce;
    const int64_t rows = reduce ? geometry.retained_length() : geometry.num_tokens();
    kernels::WindowParameters common = window_parameters(op, geometry, span, inputs.front(), nodes);
    kernels::cuda::WindowArrays arrays;
    std::vector<Tensor> contiguous;  // kept until the launch
    std::vector<Tensor> outputs;
    for (const Tensor& input : inputs) {
      const Tensor from = with_contiguous_rows(input);
      Tensor to = at::empty({from.size(0), from.size(1), rows, from.size(3)}, from.options());
      arrays.arrays[arrays.count++] = {from.size(1), rows_of(reduce ? from : to), rows_of(reduce ? to : from)};
      contiguous.push_back(from);
      outputs.push_back(to);
    }
    if (outputs.front().numel() == 0) return outputs;
    check_status(op, reduce ? kernels::cuda::window_reduce(common, arrays, current_stream())
                            : kernels::cuda::window_broadcast(common, arrays, current_stream()));
    return outputs;
  }

  static void list(const char* op, const Tensor& nodes, const kernels::ListParameters& parameters) {
    const c10::cuda::CUDAGuard guard(nodes.device());
    check_status(op, kernels::cuda::list_entries(parameters, current_stream()));
  }
};

}  // namespace
}  // namespace lighthouse::ops

TORCH_LIBRARY_IMPL(lighthouse, CUDA, m) {
  m.impl("select", &lighthouse::ops::select_cuda);
  m.impl("select_windows", &lighthouse::ops::select_windows_cuda);
  m.impl("rotary", &lighthouse::ops::rotary_cuda);
  m.impl("rotary_score", &lighthouse::ops::rotary_score_cuda);
  lighthouse::ops::WindowOperators<lighthouse::ops::Cuda>::register_in(m);
}
