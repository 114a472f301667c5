// Shapes and dtypes without data: what torch.compile, fake tensors and the meta device run.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "ops/checks.h"
#include "ops/kernel_arguments.h"
#include "ops/operators.h"
#include "ops/retained_length.h"

namespace lighthouse::ops {
namespace {

using at::Tensor;
using c10::SymInt;

Tensor empty_rows(const Tensor& like, const SymInt& rows) {
  return at::empty_symint({like.sym_size(0), like.sym_size(1), rows, like.sym_size(3)}, like.options());
}

Tensor select_meta(const Tensor& query, const Tensor& key, const std::optional<Tensor>& query_scores,
                   const std::optional<Tensor>& key_scores, int64_t num_levels, int64_t pooling_factor,
                   std::optional<int64_t> top_k, std::optional<int64_t> num_tiles, bool cover_prefix,
                   bool causal_selection) {
  constexpr const char* kOp = "lighthouse::select";
  const PyramidOptions options{num_levels, pooling_factor, top_k, num_tiles};
  check_heads(kOp, "N", query, key, std::nullopt);
  check_selection(kOp, key, query_scores, key_scores, cover_prefix, causal_selection);
  retained_length(kOp, query.sym_size(2), options);  // checks the options
  return at::empty_symint({key.sym_size(0), key.sym_size(1), num_nodes(kOp, query.sym_size(2), options)},
                          key.options().dtype(at::kInt));
}

Tensor select_windows_meta(const Tensor& query_scores, const Tensor& key_scores, SymInt num_tokens, int64_t num_levels,
                           int64_t pooling_factor, std::optional<int64_t> top_k, std::optional<int64_t> num_tiles,
                           bool cover_prefix, bool causal_selection) {
  constexpr const char* kOp = "lighthouse::select_windows";
  const PyramidOptions options{num_levels, pooling_factor, top_k, num_tiles};
  check_window_scores(kOp, query_scores, key_scores, num_tokens, options, cover_prefix, causal_selection);
  retained_length(kOp, num_tokens, options);  // checks the options
  return at::empty_symint(query_scores.sym_sizes(), query_scores.options().dtype(at::kInt));
}

Tensors2 rotary_meta(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin, bool) {
  constexpr const char* kOp = "lighthouse::rotary";
  check_heads(kOp, "N", query, key, std::nullopt);
  check_angles(kOp, query, cos, sin);
  return {empty_rotated(query), empty_rotated(key)};
}

Tensors4 rotary_score_meta(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin,
                           int64_t num_levels, int64_t pooling_factor, std::optional<int64_t> top_k,
                           std::optional<int64_t> num_tiles) {
  constexpr const char* kOp = "lighthouse::rotary_score";
  const PyramidOptions options{num_levels, pooling_factor, top_k, num_tiles};
  check_heads(kOp, "N", query, key, std::nullopt);
  check_angles(kOp, query, cos, sin);
  const auto scores = [&] {
    return at::empty_symint({key.sym_size(0), key.sym_size(1), num_nodes(kOp, query.sym_size(2), options)},
                            key.options().dtype(at::kFloat));
  };
  return {empty_rotated(query), empty_rotated(key), scores(), scores()};
}

Tensors3 gather_meta(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& nodes,
                     int64_t num_levels, int64_t pooling_factor, std::optional<int64_t> top_k,
                     std::optional<int64_t> num_tiles) {
  constexpr const char* kOp = "lighthouse::gather";
  const PyramidOptions options{num_levels, pooling_factor, top_k, num_tiles};
  check_heads(kOp, "N", query, key, value);
  check_nodes(kOp, nodes, query.sym_size(2), options);
  check_nodes_match(kOp, nodes, key);
  const SymInt rows = retained_length(kOp, query.sym_size(2), options);
  return {empty_rows(query, rows), empty_rows(key, rows), empty_rows(value, rows)};
}

Tensors3 gather_backward_meta(const Tensor& grad_query, const Tensor& grad_key, const Tensor& grad_value,
                              const Tensor& nodes, SymInt num_tokens, int64_t num_levels, int64_t pooling_factor,
                              std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
  constexpr const char* kOp = "lighthouse::gather_backward";
  const PyramidOptions options{num_levels, pooling_factor, top_k, num_tiles};
  check_heads(kOp, "S", grad_query, grad_key, grad_value);
  check_nodes(kOp, nodes, num_tokens, options);
  check_nodes_match(kOp, nodes, grad_key);
  check_rows(kOp, "grad_query", grad_query, retained_length(kOp, num_tokens, options), nodes);
  return {empty_rows(grad_query, num_tokens), empty_rows(grad_key, num_tokens), empty_rows(grad_value, num_tokens)};
}

Tensor scatter_meta(const Tensor& output, const Tensor& nodes, SymInt num_tokens, int64_t num_levels,
                    int64_t pooling_factor, std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
  constexpr const char* kOp = "lighthouse::scatter";
  const PyramidOptions options{num_levels, pooling_factor, top_k, num_tiles};
  check_nodes(kOp, nodes, num_tokens, options);
  check_rows(kOp, "output", output, retained_length(kOp, num_tokens, options), nodes);
  return empty_rows(output, num_tokens);
}

Tensor scatter_backward_meta(const Tensor& grad_output, const Tensor& nodes, int64_t num_levels, int64_t pooling_factor,
                             std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
  constexpr const char* kOp = "lighthouse::scatter_backward";
  const PyramidOptions options{num_levels, pooling_factor, top_k, num_tiles};
  TORCH_CHECK_VALUE(grad_output.dim() == 4, kOp, ": grad_output must have 4 dimensions; got ", grad_output.dim());
  check_nodes(kOp, nodes, grad_output.sym_size(2), options);
  check_rows(kOp, "grad_output", grad_output, grad_output.sym_size(2), nodes);
  return empty_rows(grad_output, retained_length(kOp, grad_output.sym_size(2), options));
}

Tensor list_meta(const char* op, at::ScalarType dtype, const Tensor& nodes, SymInt num_tokens,
                 const PyramidOptions& options) {
  check_nodes(op, nodes, num_tokens, options);
  return at::empty_symint({nodes.sym_size(0), nodes.sym_size(1), retained_length(op, num_tokens, options)},
                          nodes.options().dtype(dtype));
}

Tensor entries_meta(const Tensor& nodes, SymInt num_tokens, int64_t num_levels, int64_t pooling_factor,
                    std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
  return list_meta("lighthouse::entries", at::kInt, nodes, num_tokens, {num_levels, pooling_factor, top_k, num_tiles});
}

Tensor writes_meta(const Tensor& nodes, SymInt num_tokens, int64_t num_levels, int64_t pooling_factor,
                   std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
  return list_meta("lighthouse::writes", at::kBool, nodes, num_tokens, {num_levels, pooling_factor, top_k, num_tiles});
}

}  // namespace
}  // namespace lighthouse::ops

TORCH_LIBRARY_IMPL(lighthouse, Meta, m) {
  m.impl("select", &lighthouse::ops::select_meta);
  m.impl("select_windows", &lighthouse::ops::select_windows_meta);
  m.impl("rotary", &lighthouse::ops::rotary_meta);
  m.impl("rotary_score", &lighthouse::ops::rotary_score_meta);
  m.impl("gather", &lighthouse::ops::gather_meta);
  m.impl("gather_backward", &lighthouse::ops::gather_backward_meta);
  m.impl("scatter", &lighthouse::ops::scatter_meta);
  m.impl("scatter_backward", &lighthouse::ops::scatter_backward_meta);
  m.impl("entries", &lighthouse::ops::entries_meta);
  m.impl("writes", &lighthouse::ops::writes_meta);
}
