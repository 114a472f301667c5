// gather, scatter, their adjoints and a tree's lists: what the back ends that have kernels share. A back end is a
// struct with
//
//   Geometry geometry(const char* op, int64_t num_tokens, const PyramidOptions&)  -- refuses what it cannot count
//   void check_tree(const char* op, const Tensor& nodes, const Geometry&)
//   std::vector<Tensor> move(const char* op, Direction, kernels::Span, inputs, const Tensor& nodes, const Geometry&)
//   void list(const char* op, const Tensor& nodes, const kernels::ListParameters&)
//
// all static. `move` takes tensors that share a tree: window-reduce, [.., N, D] -> [.., S, D], or window-broadcast,
// [.., S, D] -> [.., N, D].
#pragma once

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <limits>
#include <vector>

#include "ops/checks.h"
#include "ops/kernel_arguments.h"
#include "ops/operators.h"

namespace lighthouse::ops {

template <typename Backend>
struct WindowOperators {
  using Tensor = at::Tensor;

  static void register_in(torch::Library& m) {
    m.impl("gather", &gather);
    m.impl("gather_backward", &gather_backward);
    m.impl("scatter", &scatter);
    m.impl("scatter_backward", &scatter_backward);
    m.impl("entries", &entries);
    m.impl("writes", &writes);
  }

  static Tensors3 gather(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& nodes,
                         int64_t num_levels, int64_t pooling_factor, std::optional<int64_t> top_k,
                         std::optional<int64_t> num_tiles) {
    constexpr const char* kOp = "lighthouse::gather";
    check_heads(kOp, "N", query, key, value);
    const Geometry geometry = tree_geometry(kOp, nodes, query.size(2), {num_levels, pooling_factor, top_k, num_tiles});
    check_nodes_match(kOp, nodes, key);
    return three(Backend::move(kOp, Direction::kReduce, kernels::Span::kWindow, {query, key, value}, nodes, geometry));
  }

  static Tensors3 gather_backward(const Tensor& grad_query, const Tensor& grad_key, const Tensor& grad_value,
                                  const Tensor& nodes, int64_t num_tokens, int64_t num_levels, int64_t pooling_factor,
                                  std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
    constexpr const char* kOp = "lighthouse::gather_backward";
    check_heads(kOp, "S", grad_query, grad_key, grad_value);
    const Geometry geometry = tree_geometry(kOp, nodes, num_tokens, {num_levels, pooling_factor, top_k, num_tiles});
    check_nodes_match(kOp, nodes, grad_key);
    check_rows(kOp, "grad_query", grad_query, geometry.retained_length(), nodes);
    return three(Backend::move(kOp, Direction::kBroadcast, kernels::Span::kWindow, {grad_query, grad_key, grad_value},
                               nodes, geometry));
  }

  static Tensor scatter(const Tensor& output, const Tensor& nodes, int64_t num_tokens, int64_t num_levels,
                        int64_t pooling_factor, std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
    constexpr const char* kOp = "lighthouse::scatter";
    const Geometry geometry = tree_geometry(kOp, nodes, num_tokens, {num_levels, pooling_factor, top_k, num_tiles});
    check_rows(kOp, "output", output, geometry.retained_length(), nodes);
    return Backend::move(kOp, Direction::kBroadcast, kernels::Span::kWriteRange, {output}, nodes, geometry)[0];
  }

  static Tensor scatter_backward(const Tensor& grad_output, const Tensor& nodes, int64_t num_levels,
                                 int64_t pooling_factor, std::optional<int64_t> top_k,
                                 std::optional<int64_t> num_tiles) {
    constexpr const char* kOp = "lighthouse::scatter_backward";
    TORCH_CHECK_VALUE(grad_output.dim() == 4, kOp, ": grad_output must have 4 dimensions; got ", grad_output.dim());
    const int64_t num_tokens = grad_output.size(2);
    const Geometry geometry = tree_geometry(kOp, nodes, num_tokens, {num_levels, pooling_factor, top_k, num_tiles});
    check_rows(kOp, "grad_output", grad_output, num_tokens, nodes);
    return Backend::move(kOp, Direction::kReduce, kernels::Span::kWriteRange, {grad_output}, nodes, geometry)[0];
  }

  static Tensor entries(const Tensor& nodes, int64_t num_tokens, int64_t num_levels, int64_t pooling_factor,
                        std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
    constexpr const char* kOp = "lighthouse::entries";
    const Geometry geometry = tree_geometry(kOp, nodes, num_tokens, {num_levels, pooling_factor, top_k, num_tiles});
    TORCH_CHECK_VALUE(geometry.num_entries() <= std::numeric_limits<int32_t>::max(), kOp,
                      ": flat indices are int32, so the pyramid must have fewer than 2^31 entries; got ",
                      geometry.num_entries());
    return list(kOp, nodes, geometry, at::kInt);
  }

  static Tensor writes(const Tensor& nodes, int64_t num_tokens, int64_t num_levels, int64_t pooling_factor,
                       std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
    constexpr const char* kOp = "lighthouse::writes";
    const Geometry geometry = tree_geometry(kOp, nodes, num_tokens, {num_levels, pooling_factor, top_k, num_tiles});
    return list(kOp, nodes, geometry, at::kBool);
  }

 private:
  static Geometry tree_geometry(const char* op, const Tensor& nodes, int64_t num_tokens,
                                const PyramidOptions& options) {
    check_nodes(op, nodes, num_tokens, options);
    Geometry geometry = Backend::geometry(op, num_tokens, options);
    Backend::check_tree(op, nodes, geometry);
    return geometry;
  }

  static Tensors3 three(const std::vector<Tensor>& tensors) { return {tensors[0], tensors[1], tensors[2]}; }

  static Tensor list(const char* op, const Tensor& nodes_in, const Geometry& geometry, at::ScalarType type) {
    const Tensor nodes = nodes_in.contiguous();
    Tensor list = at::empty({nodes.size(0), nodes.size(1), geometry.retained_length()}, nodes.options().dtype(type));
    auto parameters = list_parameters(nodes, geometry);
    if (type == at::kBool) parameters.writes = list.mutable_data_ptr<bool>();
    if (type == at::kInt) parameters.entries = list.mutable_data_ptr<int32_t>();
    Backend::list(op, nodes, parameters);
    return list;
  }
};

}  // namespace lighthouse::ops
