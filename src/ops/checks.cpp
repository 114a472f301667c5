#include "ops/checks.h"

#include <c10/util/Exception.h>

#include <limits>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "ops/retained_length.h"

namespace lighthouse::ops {
namespace {

std::string shape_of(const at::Tensor& tensor) {
  std::ostringstream text;
  text << "[";
  const char* separator = "";
  for (const auto& size : tensor.sym_sizes()) {
    text << separator << size;
    separator = ", ";
  }
  text << "]";
  return text.str();
}

void check_floating(const char* op, const char* name, const at::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  const bool half = type == at::kHalf && !tensor.device().is_cpu();
  TORCH_CHECK_TYPE(type == at::kFloat || type == at::kBFloat16 || type == at::kDouble || half, op, ": ", name,
                   " must be float32, bfloat16 or float64", tensor.device().is_cpu() ? "" : ", or float16", "; got ",
                   type);
}

void check_like(const char* op, const char* name, const at::Tensor& tensor, const char* like_name,
                const at::Tensor& like) {
  TORCH_CHECK_TYPE(tensor.scalar_type() == like.scalar_type(), op, ": ", name, " must have ", like_name, "'s dtype, ",
                   like.scalar_type(), "; got ", tensor.scalar_type());
  TORCH_CHECK_VALUE(tensor.device() == like.device(), op, ": ", name, " must be on ", like_name, "'s device, ",
                    like.device(), "; got ", tensor.device());
}

void check_scores(const char* op, const char* name, const at::Tensor& scores, const at::Tensor& key) {
  TORCH_CHECK_VALUE(scores.dim() == 3 && scores.sym_size(0) == key.sym_size(0) &&
                        scores.sym_size(1) == key.sym_size(1) && scores.sym_size(2) == key.sym_size(2),
                    op, ": ", name, " must be [B, K, N] with B=", key.sym_size(0), ", K=", key.sym_size(1),
                    ", N=", key.sym_size(2), "; got ", shape_of(scores));
  TORCH_CHECK_TYPE(scores.is_floating_point(), op, ": ", name, " must be of a floating dtype; got ",
                   scores.scalar_type());
  TORCH_CHECK_VALUE(scores.device() == key.device(), op, ": ", name, " must be on the inputs' device, ", key.device(),
                    "; got ", scores.device());
}

void check_prefix(const char* op, bool cover_prefix, bool causal_selection) {
  TORCH_CHECK_VALUE(cover_prefix || !causal_selection, op,
                    ": causal_selection always covers the prefix; got cover_prefix=False with causal_selection=True");
}

}  // namespace

Geometry make_geometry(const char* op, int64_t num_tokens, const PyramidOptions& options) {
  try {
    return Geometry(num_tokens, options);
  } catch (const std::invalid_argument& error) {
    std::string_view message = error.what();
    constexpr std::string_view kPrefix = "lighthouse: ";
    if (message.substr(0, kPrefix.size()) == kPrefix) message.remove_prefix(kPrefix.size());
    TORCH_CHECK_VALUE(false, op, ": ", message);
  }
}

Geometry make_tree_geometry(const char* op, int64_t num_tokens, const PyramidOptions& options) {
  Geometry geometry = make_geometry(op, num_tokens, options);
  TORCH_CHECK_VALUE(geometry.num_levels() == 1 || geometry.retained_length() < kernels::kMaxRetainedLength, op,
                    ": the retained length must be below ", kernels::kMaxRetainedLength, "; got ",
                    geometry.to_string());
  return geometry;
}

void check_heads(const char* op, const char* rows, const at::Tensor& query, const at::Tensor& key,
                 const std::optional<at::Tensor>& value) {
  TORCH_CHECK_VALUE(query.dim() == 4, op, ": query must be [B, H, ", rows, ", D]; got ", shape_of(query));
  const auto check_key_like = [&](const char* name, const at::Tensor& tensor) {
    const bool fits = tensor.dim() == 4 && tensor.sym_size(0) == query.sym_size(0) &&
                      tensor.sym_size(2) == query.sym_size(2) && tensor.sym_size(3) == query.sym_size(3);
    TORCH_CHECK_VALUE(fits, op, ": ", name, " must be [B, K, ", rows, ", D] with B=", query.sym_size(0), ", ", rows,
                      "=", query.sym_size(2), ", D=", query.sym_size(3), "; got ", shape_of(tensor));
    check_like(op, name, tensor, "query", query);
  };
  check_floating(op, "query", query);
  check_key_like("key", key);
  const auto heads = query.sym_size(1);
  const auto kv_heads = key.sym_size(1);
  TORCH_CHECK_VALUE(kv_heads > 0 && heads > 0 && heads % kv_heads == 0, op,
                    ": the query heads H must be a positive multiple of the key heads K; got H=", heads,
                    ", K=", kv_heads);
  TORCH_CHECK_VALUE(query.sym_size(3) > 0, op, ": the head dimension D must be at least 1; got ", shape_of(query));
  if (value) {
    check_key_like("value", *value);
    TORCH_CHECK_VALUE(value->sym_size(1) == kv_heads, op, ": value must have key's K=", kv_heads, " heads; got ",
                      shape_of(*value));
  }
}

void check_rows(const char* op, const char* name, const at::Tensor& tensor, const c10::SymInt& rows,
                const at::Tensor& nodes) {
  TORCH_CHECK_VALUE(tensor.dim() == 4 && tensor.sym_size(0) == nodes.sym_size(0) && tensor.sym_size(1) > 0 &&
                        tensor.sym_size(1) % nodes.sym_size(1) == 0 && tensor.sym_size(2) == rows,
                    op, ": ", name, " must be [B, heads, rows, D] with B=", nodes.sym_size(0), ", heads a multiple of ",
                    nodes.sym_size(1), ", rows=", rows, "; got ", shape_of(tensor));
  check_floating(op, name, tensor);
  TORCH_CHECK_VALUE(tensor.device() == nodes.device(), op, ": ", name, " must be on the tree's device, ",
                    nodes.device(), "; got ", tensor.device());
}

void check_nodes(const char* op, const at::Tensor& nodes, const c10::SymInt& num_tokens,
                 const PyramidOptions& options) {
  TORCH_CHECK_TYPE(nodes.scalar_type() == at::kInt, op, ": the tree's nodes must be int32; got ", nodes.scalar_type());
  const auto expected = num_nodes(op, num_tokens, options);
  TORCH_CHECK_VALUE(nodes.dim() == 3 && nodes.sym_size(1) > 0 && nodes.sym_size(2) == expected, op,
                    ": the tree's nodes must be [B, K, ", expected, "] for N=", num_tokens,
                    ", num_levels=", options.num_levels, ", pooling_factor=", options.pooling_factor, "; got ",
                    shape_of(nodes));
}

void check_nodes_match(const char* op, const at::Tensor& nodes, const at::Tensor& key) {
  TORCH_CHECK_VALUE(nodes.sym_size(0) == key.sym_size(0) && nodes.sym_size(1) == key.sym_size(1), op,
                    ": the tree must be of B=", key.sym_size(0), ", K=", key.sym_size(1), "; got nodes ",
                    shape_of(nodes));
  TORCH_CHECK_VALUE(nodes.device() == key.device(), op, ": the tree must be on the inputs' device, ", key.device(),
                    "; got ", nodes.device());
}

void check_selection(const char* op, const at::Tensor& key, const std::optional<at::Tensor>& query_scores,
                     const std::optional<at::Tensor>& key_scores, bool cover_prefix, bool causal_selection) {
  check_prefix(op, cover_prefix, causal_selection);
  TORCH_CHECK_VALUE(query_scores.has_value() == key_scores.has_value(), op,
                    ": expected both scores or neither; got only ", query_scores ? "query_scores" : "key_scores");
  if (!query_scores) return;
  check_scores(op, "query_scores", *query_scores, key);
  check_scores(op, "key_scores", *key_scores, key);
}

void check_window_scores(const char* op, const at::Tensor& query_scores, const at::Tensor& key_scores,
                         const c10::SymInt& num_tokens, const PyramidOptions& options, bool cover_prefix,
                         bool causal_selection) {
  check_prefix(op, cover_prefix, causal_selection);
  const auto windows = num_nodes(op, num_tokens, options);
  const auto check = [&](const char* name, const at::Tensor& scores) {
    TORCH_CHECK_VALUE(scores.dim() == 3 && scores.sym_size(1) > 0 && scores.sym_size(2) == windows, op, ": ", name,
                      " must be [B, K, ", windows, "] for N=", num_tokens, ", num_levels=", options.num_levels,
                      ", pooling_factor=", options.pooling_factor, "; got ", shape_of(scores));
    TORCH_CHECK_TYPE(scores.scalar_type() == at::kFloat, op, ": ", name, " must be float32; got ",
                     scores.scalar_type());
  };
  check("the windows' query scores", query_scores);
  check("the windows' key scores", key_scores);
  TORCH_CHECK_VALUE(query_scores.sym_sizes() == key_scores.sym_sizes() && query_scores.device() == key_scores.device(),
                    op, ": the windows' scores must have one shape and device; got ", shape_of(query_scores), " on ",
                    query_scores.device(), " and ", shape_of(key_scores), " on ", key_scores.device());
}

void check_angles(const char* op, const at::Tensor& query, const at::Tensor& cos, const at::Tensor& sin) {
  const auto dim = query.sym_size(3);
  TORCH_CHECK_VALUE(dim % 2 == 0, op, ": the head dimension D must be even; got ", dim);
  const auto check = [&](const char* name, const at::Tensor& angles) {
    TORCH_CHECK_VALUE(angles.dim() == 2 && angles.sym_size(0) == query.sym_size(2) && angles.sym_size(1) == dim / 2, op,
                      ": ", name, " must be [N, D/2] with N=", query.sym_size(2), ", D/2=", dim / 2, "; got ",
                      shape_of(angles));
    TORCH_CHECK_TYPE(angles.scalar_type() == at::kFloat, op, ": ", name, " must be float32; got ",
                     angles.scalar_type());
    TORCH_CHECK_VALUE(angles.device() == query.device(), op, ": ", name, " must be on query's device, ", query.device(),
                      "; got ", angles.device());
  };
  check("cos", cos);
  check("sin", sin);
}

void check_inner_output(const char* op, const at::Tensor& output, const at::Tensor& query) {
  constexpr const char* kMust = ": the inner attention must return its query's ";
  TORCH_CHECK_TYPE(output.defined(), op, ": the inner attention must return a tensor; got none");
  TORCH_CHECK_VALUE(output.sym_sizes() == query.sym_sizes(), op, kMust, "shape, ", shape_of(query), "; got ",
                    shape_of(output));
  TORCH_CHECK_TYPE(output.scalar_type() == query.scalar_type(), op, kMust, "dtype, ", query.scalar_type(), "; got ",
                   output.scalar_type());
  TORCH_CHECK_VALUE(output.device() == query.device(), op, kMust, "device, ", query.device(), "; got ",
                    output.device());
}

kernels::ScalarType kernel_scalar_type(const char* op, const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat: return kernels::ScalarType::kFloat32;
    case at::kBFloat16: return kernels::ScalarType::kBFloat16;
    case at::kHalf: return kernels::ScalarType::kFloat16;
    case at::kDouble: return kernels::ScalarType::kFloat64;
    default: TORCH_CHECK_TYPE(false, op, ": expected float32, bfloat16 or float64; got ", tensor.scalar_type());
  }
}

}  // namespace lighthouse::ops
