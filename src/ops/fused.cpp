#include "ops/fused.h"

#include <ATen/MemoryOverlap.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/kernels.h"
#include "ops/checks.h"
#include "ops/fused_cuda.h"
#include "ops/kernel_arguments.h"
#include "ops/operators.h"

namespace lighthouse::ops {
namespace {

using at::Tensor;

at::ScalarType wide_type(const Tensor& x) { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

PyramidOptions options_of(const Geometry& geometry) {
  return {geometry.num_levels(), geometry.pooling_factor(), geometry.top_k(), geometry.num_tiles()};
}

void torch_threads(int64_t count, int64_t grain, const kernels::ParallelBody& body) {
  at::parallel_for(0, count, grain, body);
}

bool on_cuda(const Tensor& tensor) { return tensor.is_cuda(); }

void check_rows_of(const char* op, const char* name, const Tensor& tensor) {
  TORCH_CHECK_VALUE(tensor.dim() == 2 && tensor.is_contiguous(), op, ": ", name,
                    " must be contiguous rows [rows, columns]; got ", tensor.sizes(), " with strides ",
                    tensor.strides());
  TORCH_CHECK_TYPE(tensor.is_floating_point(), op, ": ", name, " must be of a floating dtype; got ",
                   tensor.scalar_type());
}

/// Callers bring what an inner attention of theirs returned: sizes, dtype and device are asked, and strides are not.
void check_fits(const char* op, const char* name, const Tensor& tensor, at::IntArrayRef sizes, const Tensor& like) {
  TORCH_CHECK_VALUE(tensor.defined() && tensor.sizes() == sizes, op, ": ", name, " must be ", sizes, "; got ",
                    tensor.defined() ? c10::str(tensor.sizes()) : "none");
  TORCH_CHECK_TYPE(tensor.scalar_type() == like.scalar_type(), op, ": ", name, " must be of dtype ", like.scalar_type(),
                   "; got ", tensor.scalar_type());
  TORCH_CHECK_VALUE(tensor.device() == like.device(), op, ": ", name, " must be on ", like.device(), "; got ",
                    tensor.device());
}

void check_gain(const char* op, const Tensor& gain, const Tensor& input) {
  TORCH_CHECK_VALUE(gain.dim() == 1 && gain.size(0) == input.size(1), op, ": the gain must be [", input.size(1),
                    "]; got ", gain.sizes());
  TORCH_CHECK_TYPE(gain.is_floating_point(), op, ": the gain must be of a floating dtype; got ", gain.scalar_type());
  TORCH_CHECK_VALUE(gain.device() == input.device(), op, ": the gain must be on ", input.device(), "; got ",
                    gain.device());
}

/// A tensor that is written into: of these sizes, and with contiguous rows of its own.
void check_target(const char* op, const char* name, const Tensor& to, at::IntArrayRef sizes, const Tensor& like) {
  check_fits(op, name, to, sizes, like);
  TORCH_CHECK_VALUE(to.stride(-1) == 1 || to.size(-1) == 1, op, ": ", name, " must have contiguous rows; got strides ",
                    to.strides());
  at::assert_no_internal_overlap(to);
}

void check_rotation(const char* op, const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin,
                    const Tensor& to_query, const Tensor& to_key) {
  check_heads(op, "N", query, key, std::nullopt);
  check_angles(op, query, cos, sin);
  check_target(op, "the rotated query", to_query, query.sizes(), query);
  check_target(op, "the rotated key", to_key, key.sizes(), query);
}

/// Sizes [B, heads, N, D] of what a tree's rows [B, heads, S, D] are spread over.
std::vector<int64_t> spread_sizes(const Tensor& rows, const Tree& tree) {
  return {rows.size(0), rows.size(1), tree.geometry.num_tokens(), rows.size(3)};
}

}  // namespace

Normalized rms_norm(const Tensor& input, const Tensor& addend, const Tensor& gain, double epsilon) {
  constexpr const char* kOp = "lighthouse::rms_norm";
  check_rows_of(kOp, "input", input);
  check_gain(kOp, gain, input);
  if (addend.defined()) check_fits(kOp, "addend", addend, input.sizes(), input);
  if (on_cuda(input) && cuda::norm_fits(input)) return cuda::rms_norm(input, addend, gain, epsilon);
  const auto type = wide_type(input);
  Tensor sum = addend.defined() ? input + addend : input;
  const Tensor wide = sum.to(type);
  const Tensor inverse = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + epsilon);
  return {sum, (wide * inverse * gain.to(type)).to(input.scalar_type())};
}

NormGradients rms_norm_backward(const Tensor& grad, const Tensor& input, const Tensor& gain, double epsilon,
                                const Tensor& residual, bool with_normal) {
  constexpr const char* kOp = "lighthouse::rms_norm_backward";
  check_rows_of(kOp, "input", input);
  check_gain(kOp, gain, input);
  check_fits(kOp, "grad", grad, input.sizes(), input);
  if (residual.defined()) check_fits(kOp, "residual", residual, input.sizes(), input);
  if (on_cuda(input) && cuda::norm_fits(input)) {
    return cuda::rms_norm_backward(grad, input, gain, epsilon, residual, with_normal);
  }
  const auto type = wide_type(input);
  const Tensor wide = input.to(type);
  const Tensor slope = grad.to(type);
  const Tensor weight = gain.to(type);
  const Tensor inverse = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + epsilon);
  const Tensor scaled = wide * inverse;
  const Tensor weighted = slope * weight;
  Tensor gradient = inverse * (weighted - scaled * (weighted * scaled).mean(-1, /*keepdim=*/true));
  if (residual.defined()) gradient = gradient + residual.to(type);
  return {gradient.to(input.scalar_type()), (slope * scaled).sum(0).to(gain.scalar_type()),
          with_normal ? (scaled * weight).to(input.scalar_type()) : Tensor()};
}

namespace {

void check_gate_up(const char* op, const Tensor& gate_up) {
  check_rows_of(op, "gate_up", gate_up);
  TORCH_CHECK_VALUE(gate_up.size(1) % 2 == 0, op, ": gate_up must be [rows, 2 F]; got ", gate_up.sizes());
}

}  // namespace

Tensor swiglu(const Tensor& gate_up) {
  check_gate_up("lighthouse::swiglu", gate_up);
  if (on_cuda(gate_up) && cuda::swiglu_fits(gate_up)) return cuda::swiglu(gate_up);
  const auto halves = gate_up.chunk(2, -1);
  return (at::silu(halves[0].to(wide_type(gate_up))) * halves[1]).to(gate_up.scalar_type());
}

SwigluGradients swiglu_backward(const Tensor& grad, Tensor gate_up) {
  constexpr const char* kOp = "lighthouse::swiglu_backward";
  check_gate_up(kOp, gate_up);
  check_fits(kOp, "grad", grad, {gate_up.size(0), gate_up.size(1) / 2}, gate_up);
  if (on_cuda(gate_up) && cuda::swiglu_fits(gate_up)) return cuda::swiglu_backward(grad, gate_up);
  Tensor output = at::empty(grad.sizes(), grad.options());
  // Some rows at a time: the values in between are many, and small enough for the cache then.
  constexpr int64_t kRows = 256;
  for (int64_t first = 0; first < gate_up.size(0); first += kRows) {
    const int64_t count = std::min(kRows, gate_up.size(0) - first);
    const auto halves = gate_up.narrow(0, first, count).chunk(2, -1);
    const Tensor slope = grad.narrow(0, first, count).to(wide_type(gate_up));
    const Tensor gate = halves[0].to(wide_type(gate_up));
    const Tensor sigmoid = at::sigmoid(gate);
    const Tensor silu = gate * sigmoid;
    const Tensor grad_up = slope * silu;
    const Tensor grad_gate = slope * halves[1] * (sigmoid * (1 + gate * (1 - sigmoid)));
    output.narrow(0, first, count).copy_(silu * halves[1]);
    halves[0].copy_(grad_gate);
    halves[1].copy_(grad_up);
  }
  return {gate_up, output};
}

Tensor row_product(const Tensor& x, const Tensor& weight) {
  const auto type = weight.scalar_type();
  const bool ours = x.device().is_cpu() && x.dim() == 2 && x.size(0) == 1 && x.scalar_type() == type &&
                    weight.is_contiguous() && (type == at::kFloat || type == at::kBFloat16);
  if (!ours) return at::mm(x, weight.t());
  TORCH_CHECK_VALUE(weight.dim() == 2 && weight.size(1) == x.size(1), "lighthouse: a product's weight must be [rows, ",
                    x.size(1), "]; got ", weight.sizes());
  const Tensor input = x.to(at::kFloat).contiguous();
  Tensor output = at::empty({1, weight.size(0)}, input.options());
  kernels::RowProductParameters parameters;
  parameters.scalar_type = kernel_scalar_type("lighthouse::row_product", weight);
  parameters.rows = weight.size(0);
  parameters.columns = weight.size(1);
  parameters.weight = weight.const_data_ptr();
  parameters.input = input.const_data_ptr<float>();
  parameters.output = output.mutable_data_ptr<float>();
  kernels::cpu::row_product(parameters, torch_threads);
  return output.to(type);
}

Tensor token_attention(const Tensor& query, const Tensor& key, const Tensor& value) {
  check_heads("lighthouse::token_attention", "N", query.expand({-1, -1, key.size(2), -1}), key, value);
  const int64_t heads = query.size(1);
  const int64_t kv_heads = key.size(1);
  const int64_t dim = query.size(3);
  const auto type = query.scalar_type();
  const bool ours = query.device().is_cpu() && query.size(0) == 1 && key.stride(3) == 1 && value.stride(3) == 1 &&
                    (type == at::kFloat || type == at::kBFloat16);
  if (!ours) {
    // A token sees everything, so a group's heads are the rows of one attention.
    const Tensor grouped = query.reshape({query.size(0), kv_heads, heads / kv_heads, dim});
    return at::scaled_dot_product_attention(grouped, key, value).reshape({query.size(0), heads * dim});
  }
  const Tensor wide = query.to(at::kFloat).contiguous();
  Tensor output = at::empty({1, heads * dim}, wide.options());
  Tensor parts = at::empty({heads, kernels::cpu::attention_pieces(key.size(2)), dim + 2}, wide.options());
  kernels::TokenAttentionParameters parameters;
  parameters.scalar_type = kernel_scalar_type("lighthouse::token_attention", key);
  parameters.heads = heads;
  parameters.kv_heads = kv_heads;
  parameters.head_dim = dim;
  parameters.length = key.size(2);
  parameters.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dim)));
  parameters.query = wide.const_data_ptr<float>();
  parameters.key = rows_of(key);
  parameters.value = rows_of(value);
  parameters.output = output.mutable_data_ptr<float>();
  parameters.parts = parts.mutable_data_ptr<float>();
  kernels::cpu::token_attention(parameters, torch_threads);
  return output.to(type);
}

void rotate_into(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin, bool inverse,
                 const Tensor& to_query, const Tensor& to_key) {
  check_rotation("lighthouse::rotate_into", query, key, cos, sin, to_query, to_key);
  if (on_cuda(query)) {
    PyramidOptions whole;
    whole.num_levels = 1;
    cuda::rotate(Geometry(query.size(2), whole), query, key, cos, sin, inverse, nullptr, to_query, to_key);
    return;
  }
  const auto [rotated_query, rotated_key] = rotary(query, key, cos, sin, inverse);
  to_query.copy_(rotated_query);
  to_key.copy_(rotated_key);
}

WindowScores rotate_and_score_into(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin,
                                   const PyramidOptions& options, const Tensor& to_query, const Tensor& to_key) {
  constexpr const char* kOp = "lighthouse::rotate_and_score_into";
  check_rotation(kOp, query, key, cos, sin, to_query, to_key);
  if (on_cuda(query)) {
    const Geometry geometry = make_tree_geometry(kOp, query.size(2), options);
    WindowScores scores = empty_scores(geometry, key);
    cuda::rotate(geometry, query, key, cos, sin, /*inverse=*/false, &scores, to_query, to_key);
    return scores;
  }
  const auto [rotated_query, rotated_key, query_scores, key_scores] = rotary_score(query, key, cos, sin, options);
  to_query.copy_(rotated_query);
  to_key.copy_(rotated_key);
  return {query_scores, key_scores};
}

void scatter_into(const Tensor& output, const Tree& tree, const Tensor& to) {
  constexpr const char* kOp = "lighthouse::scatter_into";
  check_nodes(kOp, tree.nodes, tree.geometry.num_tokens(), options_of(tree.geometry));
  check_rows(kOp, "output", output, tree.geometry.retained_length(), tree.nodes);
  check_target(kOp, "the target", to, spread_sizes(output, tree), output);
  if (on_cuda(output)) {
    cuda::broadcast_into(kernels::Span::kWriteRange, {output}, tree, {to});
    return;
  }
  to.copy_(scatter(output, tree.nodes, tree.geometry.num_tokens(), options_of(tree.geometry)));
}

Tensor scatter_adjoint(const Tensor& grad, const Tree& tree) {
  return scatter_backward(grad, tree.nodes, options_of(tree.geometry));
}

void gather_adjoint_into(const Gathered& grads, const Tree& tree, const Tensor& to_query, const Tensor& to_key,
                         const Tensor& to_value) {
  constexpr const char* kOp = "lighthouse::gather_adjoint_into";
  check_heads(kOp, "S", grads.query, grads.key, grads.value);
  check_nodes(kOp, tree.nodes, tree.geometry.num_tokens(), options_of(tree.geometry));
  check_nodes_match(kOp, tree.nodes, grads.key);
  check_rows(kOp, "grad_query", grads.query, tree.geometry.retained_length(), tree.nodes);
  check_target(kOp, "the query's target", to_query, spread_sizes(grads.query, tree), grads.query);
  check_target(kOp, "the key's target", to_key, spread_sizes(grads.key, tree), grads.query);
  check_target(kOp, "the value's target", to_value, spread_sizes(grads.value, tree), grads.query);
  if (on_cuda(grads.query)) {
    cuda::broadcast_into(kernels::Span::kWindow, {grads.query, grads.key, grads.value}, tree,
                         {to_query, to_key, to_value});
    return;
  }
  const auto [query, key, value] = gather_backward(grads.query, grads.key, grads.value, tree.nodes,
                                                   tree.geometry.num_tokens(), options_of(tree.geometry));
  to_query.copy_(query);
  to_key.copy_(key);
  to_value.copy_(value);
}

}  // namespace lighthouse::ops
