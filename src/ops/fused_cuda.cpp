#include "ops/fused_cuda.h"

#include <ATen/ops/empty.h>

#include <cstdint>

#include "ops/checks.h"
#include "ops/cuda_launch.h"
#include "ops/kernel_arguments.h"

namespace lighthouse::ops::cuda {
namespace {

using at::Tensor;

const void* optional_data(const Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }

/// Contiguous rows that start on the kernels' pieces, copied where they are not. Undefined stays so.
Tensor as_pieces(const Tensor& tensor) {
  constexpr uintptr_t kPieceBytes = 16;
  if (!tensor.defined()) return tensor;
  const Tensor rows = tensor.contiguous();
  const bool starts = reinterpret_cast<uintptr_t>(rows.const_data_ptr()) % kPieceBytes == 0;
  return starts ? rows : rows.clone(at::MemoryFormat::Contiguous);
}

kernels::cuda::NormParameters norm_parameters(const char* op, const Tensor& input, const Tensor& gain, double epsilon) {
  TORCH_CHECK_TYPE(gain.scalar_type() == at::kFloat, op, ": on CUDA the gain must be float32; got ",
                   gain.scalar_type());
  kernels::cuda::NormParameters p;
  p.scalar_type = kernel_scalar_type(op, input);
  p.rows = input.size(0);
  p.columns = input.size(1);
  p.epsilon = static_cast<float>(epsilon);
  p.input = input.const_data_ptr();
  p.gain = gain.const_data_ptr<float>();
  return p;
}

Tensor empty_rows(const Tensor& like) { return at::empty(like.sizes(), like.options()); }

}  // namespace

bool norm_fits(const Tensor& input) {
  return input.scalar_type() != at::kDouble &&
         kernels::cuda::norm_fits(kernel_scalar_type("lighthouse::rms_norm", input), input.size(1));
}

Normalized rms_norm(const Tensor& input_in, const Tensor& addend_in, const Tensor& gain_in, double epsilon) {
  constexpr const char* kOp = "lighthouse::rms_norm";
  const c10::cuda::CUDAGuard guard(input_in.device());
  const Tensor input = as_pieces(input_in);
  const Tensor addend = as_pieces(addend_in);
  const Tensor gain = gain_in.contiguous();
  auto p = norm_parameters(kOp, input, gain, epsilon);
  Normalized out{addend.defined() ? empty_rows(input) : input_in, empty_rows(input)};
  p.addend = optional_data(addend);
  p.sum = addend.defined() ? out.sum.mutable_data_ptr() : nullptr;
  p.output = out.normal.mutable_data_ptr();
  check_status(kOp, kernels::cuda::rms_norm(p, current_stream()));
  return out;
}

NormGradients rms_norm_backward(const Tensor& grad_in, const Tensor& input_in, const Tensor& gain_in, double epsilon,
                                const Tensor& residual_in, bool with_normal) {
  constexpr const char* kOp = "lighthouse::rms_norm_backward";
  const c10::cuda::CUDAGuard guard(input_in.device());
  const Tensor input = as_pieces(input_in);
  const Tensor grad = as_pieces(grad_in);
  const Tensor residual = as_pieces(residual_in);
  const Tensor gain = gain_in.contiguous();
  auto p = norm_parameters(kOp, input, gain, epsilon);
  NormGradients out;
  out.input = empty_rows(input);
  if (with_normal) out.normal = empty_rows(input);
  const Tensor partial =
      at::empty({kernels::cuda::norm_blocks(input.size(0)), input.size(1)}, input.options().dtype(at::kFloat));
  p.grad_output = grad.const_data_ptr();
  p.grad_residual = optional_data(residual);
  p.grad_input = out.input.mutable_data_ptr();
  p.output = with_normal ? out.normal.mutable_data_ptr() : nullptr;
  p.grad_gain = partial.mutable_data_ptr<float>();
  check_status(kOp, kernels::cuda::rms_norm_backward(p, current_stream()));
  out.gain = partial.sum(0);
  return out;
}

namespace {

kernels::cuda::SwigluParameters swiglu_parameters(const char* op, const Tensor& gate_up, const Tensor& output) {
  kernels::cuda::SwigluParameters p;
  p.scalar_type = kernel_scalar_type(op, gate_up);
  p.rows = gate_up.size(0);
  p.columns = gate_up.size(1) / 2;
  p.gate_up = gate_up.const_data_ptr();
  p.output = output.mutable_data_ptr();
  return p;
}

Tensor half_as_wide(const Tensor& gate_up) {
  return at::empty({gate_up.size(0), gate_up.size(1) / 2}, gate_up.options());
}

}  // namespace

bool swiglu_fits(const Tensor& gate_up) { return gate_up.scalar_type() != at::kDouble; }

Tensor swiglu(const Tensor& gate_up) {
  constexpr const char* kOp = "lighthouse::swiglu";
  const c10::cuda::CUDAGuard guard(gate_up.device());
  Tensor output = half_as_wide(gate_up);
  check_status(kOp, kernels::cuda::swiglu(swiglu_parameters(kOp, gate_up, output), current_stream()));
  return output;
}

SwigluGradients swiglu_backward(const Tensor& grad_in, Tensor gate_up) {
  constexpr const char* kOp = "lighthouse::swiglu_backward";
  const c10::cuda::CUDAGuard guard(gate_up.device());
  const Tensor grad = grad_in.contiguous();
  Tensor output = half_as_wide(gate_up);
  auto p = swiglu_parameters(kOp, gate_up, output);
  p.grad_output = grad.const_data_ptr();
  p.grad_gate_up = gate_up.mutable_data_ptr();  // a thread has read what it writes
  check_status(kOp, kernels::cuda::swiglu(p, current_stream()));
  return {gate_up, output};
}

void rotate(const Geometry& geometry, const Tensor& query_in, const Tensor& key_in, const Tensor& cos_in,
            const Tensor& sin_in, bool inverse, const WindowScores* scores, const Tensor& to_query,
            const Tensor& to_key) {
  constexpr const char* kOp = "lighthouse::rotary";
  check_cuda_geometry(kOp, geometry);
  const c10::cuda::CUDAGuard guard(query_in.device());
  const Tensor query = with_contiguous_rows(query_in);
  const Tensor key = with_contiguous_rows(key_in);
  const Tensor cos = with_contiguous_rows(cos_in);
  const Tensor sin = with_contiguous_rows(sin_in);
  auto parameters = rotary_parameters(kOp, geometry, query, key, to_query, to_key, cos, sin, scores);
  parameters.inverse = inverse;
  check_status(kOp, kernels::cuda::rotary(parameters, current_stream()));
}

void broadcast_into(kernels::Span span, const std::vector<Tensor>& inputs, const Tree& tree,
                    const std::vector<Tensor>& outputs) {
  constexpr const char* kOp = "lighthouse::window_broadcast";
  check_cuda_geometry(kOp, tree.geometry);
  const c10::cuda::CUDAGuard guard(tree.nodes.device());
  const Tensor nodes = tree.nodes.contiguous();
  const kernels::WindowParameters common = window_parameters(kOp, tree.geometry, span, inputs.front(), nodes);
  kernels::cuda::WindowArrays arrays;
  std::vector<Tensor> contiguous;  // kept until the launch
  for (size_t i = 0; i < inputs.size(); ++i) {
    contiguous.push_back(with_contiguous_rows(inputs[i]));
    arrays.arrays[arrays.count++] = {contiguous.back().size(1), rows_of(outputs[i]), rows_of(contiguous.back())};
  }
  if (outputs.front().numel() == 0) return;
  check_status(kOp, kernels::cuda::window_broadcast(common, arrays, current_stream()));
}

}  // namespace lighthouse::ops::cuda
