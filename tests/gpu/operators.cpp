// The fused parts of the training pass as torch operators, for tests in Python.
#include <torch/library.h>
#include <torch/types.h>

#include "kernels/cuda/device.h"
#include "launches.h"
#include "model/block.h"
#include "model/token_loss.h"
#include "ops/fused.h"

namespace lighthouse::test {
namespace {

using at::Tensor;
using OptionalTensor = std::optional<Tensor>;
using Tensors2 = std::tuple<Tensor, Tensor>;
using Tensors3 = std::tuple<Tensor, Tensor, Tensor>;

Tensors2 rms_norm(const Tensor& input, const OptionalTensor& addend, const Tensor& gain, double epsilon) {
  const auto out = ops::rms_norm(input, addend.value_or(Tensor()), gain, epsilon);
  return {out.sum, out.normal};
}

Tensors3 rms_norm_backward(const Tensor& grad, const Tensor& input, const Tensor& gain, double epsilon,
                           const OptionalTensor& residual, bool with_normal) {
  const auto out = ops::rms_norm_backward(grad, input, gain, epsilon, residual.value_or(Tensor()), with_normal);
  return {out.input, out.gain, out.normal};
}

Tensors2 swiglu_backward(const Tensor& grad, const Tensor& gate_up) {
  const auto out = ops::swiglu_backward(grad, gate_up);
  return {out.gate_up, out.output};
}

Tensors2 rotate_and_score_into(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin,
                               int64_t num_levels, int64_t pooling_factor, int64_t top_k, const Tensor& to_query,
                               const Tensor& to_key) {
  const auto scores = ops::rotate_and_score_into(query, key, cos, sin,
                                                 {num_levels, pooling_factor, top_k, std::nullopt}, to_query, to_key);
  return {scores.query, scores.key};
}

Tree tree_of(const Tensor& nodes, at::IntArrayRef sizes) {
  return {nodes, Geometry(sizes[0], {sizes[1], sizes[2], sizes[3], sizes[4]})};
}

void scatter_into(const Tensor& output, const Tensor& nodes, at::IntArrayRef sizes, const Tensor& to) {
  ops::scatter_into(output, tree_of(nodes, sizes), to);
}

void gather_adjoint_into(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& nodes,
                         at::IntArrayRef sizes, const Tensor& to_query, const Tensor& to_key, const Tensor& to_value) {
  ops::gather_adjoint_into({query, key, value}, tree_of(nodes, sizes), to_query, to_key, to_value);
}

/// A decoder block; top_k 0: dense. The weights in the order of model::BlockWeights.
Tensor block(const Tensor& x, at::TensorList w, int64_t heads, int64_t kv_heads, const Tensor& cos, const Tensor& sin,
             int64_t top_k) {
  model::BlockSettings settings;
  settings.num_heads = heads;
  settings.num_kv_heads = kv_heads;
  settings.head_dim = 2 * cos.size(1);
  settings.epsilon = 1e-5;
  settings.table = {cos, sin};
  AttentionOptions options;
  options.top_k = top_k;
  if (top_k != 0) settings.options = &options;
  return model::run_block(x, {w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]}, settings);
}

int64_t compute_capability(int64_t device) { return kernels::cuda::compute_capability(static_cast<int>(device)); }

}  // namespace
}  // namespace lighthouse::test

TORCH_LIBRARY(lighthouse_test, m) {
  using namespace lighthouse;
  m.def("rms_norm(Tensor input, Tensor? addend, Tensor gain, float epsilon) -> (Tensor, Tensor)", &test::rms_norm);
  m.def(
      "rms_norm_backward(Tensor grad, Tensor input, Tensor gain, float epsilon, Tensor? residual, bool with_normal) -> "
      "(Tensor, Tensor, Tensor)",
      &test::rms_norm_backward);
  m.def("swiglu(Tensor gate_up) -> Tensor", &ops::swiglu);
  m.def("swiglu_backward(Tensor grad, Tensor gate_up) -> (Tensor, Tensor)", &test::swiglu_backward);
  m.def(
      "rotate_into(Tensor query, Tensor key, Tensor cos, Tensor sin, bool inverse, Tensor to_query, Tensor to_key) -> "
      "()",
      &ops::rotate_into);
  m.def(
      "rotate_and_score_into(Tensor query, Tensor key, Tensor cos, Tensor sin, int num_levels, int pooling_factor, int "
      "top_k, Tensor to_query, Tensor to_key) -> (Tensor, Tensor)",
      &test::rotate_and_score_into);
  m.def("scatter_into(Tensor output, Tensor nodes, int[] sizes, Tensor to) -> ()", &test::scatter_into);
  m.def(
      "gather_adjoint_into(Tensor query, Tensor key, Tensor value, Tensor nodes, int[] sizes, Tensor to_query, Tensor "
      "to_key, Tensor to_value) -> ()",
      &test::gather_adjoint_into);
  m.def("token_loss(Tensor hidden, Tensor weight, Tensor targets, int parts) -> Tensor", &model::token_loss);
  m.def("token_losses(Tensor hidden, Tensor weight, Tensor targets) -> Tensor", &model::token_losses);
  m.def("block(Tensor x, Tensor[] weights, int heads, int kv_heads, Tensor cos, Tensor sin, int top_k) -> Tensor",
        &test::block);
  m.def("compute_capability(int device) -> int", &test::compute_capability);
  m.def("check_launches() -> str", &test::check_launches);
}
