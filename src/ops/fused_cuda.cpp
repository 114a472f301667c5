#include "ops/fused_cuda.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/checks.h"
#include "ops/cuda_launch.h"
#include "ops/kernel_arguments.h"

namespace lighthouse::ops::cuda {
namespace {

using at::Tensor;

const void* optional_data(const Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }

kernels::cuda::NormParameters norm_parameters(const char* what, const Tensor& input, const Tensor& gain,
                                              double epsilon) {
  TORCH_CHECK_TYPE(gain.scalar_type() == at::kFloat, "lighthouse::", what, ": the gain must be float32; got ",
                   gain.scalar_type());
  kernels::cuda::NormParameters p;
  p.scalar_type = kernel_scalar_type(what, input);
  p.rows = input.size(0);
  p.columns = input.size(1);
  p.epsilon = static_cast<float>(epsilon);
  p.input = input.const_data_ptr();
  p.gain = gain.const_data_ptr<float>();
  return p;
}

}  // namespace

bool norm_fits(const Tensor& input) {
  return input.scalar_type() != at::kDouble &&
         kernels::cuda::norm_fits(kernel_scalar_type("rms_norm", input), input.size(1));
}

Normalized rms_norm(const Tensor& input, const Tensor& addend, const Tensor& gain, double epsilon) {
  const c10::cuda::CUDAGuard guard(input.device());
  auto p = norm_parameters("rms_norm", input, gain, epsilon);
  Normalized out{addend.defined() ? at::empty_like(input) : input, at::empty_like(input)};
  p.addend = optional_data(addend);
  p.sum = addend.defined() ? out.sum.mutable_data_ptr() : nullptr;
  p.output = out.normal.mutable_data_ptr();
  check_status("lighthouse::rms_norm", kernels::cuda::rms_norm(p, current_stream()));
  return out;
}

NormGradients rms_norm_backward(const Tensor& grad, const Tensor& input, const Tensor& gain, double epsilon,
                                const Tensor& residual, bool with_normal) {
  const c10::cuda::CUDAGuard guard(input.device());
  auto p = norm_parameters("rms_norm_backward", input, gain, epsilon);
  NormGradients out;
  out.input = at::empty_like(input);
  if (with_normal) out.normal = at::empty_like(input);
  const Tensor partial =
      at::empty({kernels::cuda::norm_blocks(input.size(0)), input.size(1)}, input.options().dtype(at::kFloat));
  p.grad_output = grad.const_data_ptr();
  p.grad_residual = optional_data(residual);
  p.grad_input = out.input.mutable_data_ptr();
  p.output = with_normal ? out.normal.mutable_data_ptr() : nullptr;
  p.grad_gain = partial.mutable_data_ptr<float>();
  check_status("lighthouse::rms_norm_backward", kernels::cuda::rms_norm_backward(p, current_stream()));
  out.gain = partial.sum(0);
  return out;
}

namespace {

kernels::cuda::SwigluParameters swiglu_parameters(const char* what, const Tensor& gate_up, const Tensor& output) {
  kernels::cuda::SwigluParameters p;
  p.scalar_type = kernel_scalar_type(what, gate_up);
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

Tensor swiglu(const Tensor& gate_up) {
  const c10::cuda::CUDAGuard guard(gate_up.device());
  Tensor output = half_as_wide(gate_up);
  check_status("lighthouse::swiglu",
               kernels::cuda::swiglu(swiglu_parameters("swiglu", gate_up, output), current_stream()));
  return output;
}

SwigluGradients swiglu_backward(const Tensor& grad, Tensor gate_up) {
  const c10::cuda::CUDAGuard guard(gate_up.device());
  Tensor output = half_as_wide(gate_up);
  auto p = swiglu_parameters("swiglu_backward", gate_up, output);
  p.grad_output = grad.const_data_ptr();
  p.grad_gate_up = gate_up.mutable_data_ptr();  // a thread has read what it writes
  check_status("lighthouse::swiglu_backward", kernels::cuda::swiglu(p, current_stream()));
  return {gate_up, output};
}

void rotate(const Geometry& geometry, const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin,
            bool inverse, const WindowScores* scores, const Tensor& to_query, const Tensor& to_key) {
  const c10::cuda::CUDAGuard guard(query.device());
  auto parameters = rotary_parameters("rotary", geometry, query, key, to_query, to_key, cos, sin, scores);
  parameters.inverse = inverse;
  check_status("lighthouse::rotary", kernels::cuda::rotary(parameters, current_stream()));
}

void broadcast_into(kernels::Span span, const std::vector<Tensor>& inputs, const Tree& tree,
                    const std::vector<Tensor>& outputs) {
  const c10::cuda::CUDAGuard guard(tree.nodes.device());
  const kernels::WindowParameters common =
      window_parameters("window_broadcast", tree.geometry, span, inputs.front(), tree.nodes);
  kernels::cuda::WindowArrays arrays;
  std::vector<Tensor> contiguous;  // kept until the launch
  for (size_t i = 0; i < inputs.size(); ++i) {
    contiguous.push_back(with_contiguous_rows(inputs[i]));
    arrays.arrays[arrays.count++] = {contiguous.back().size(1), rows_of(outputs[i]), rows_of(contiguous.back())};
  }
  if (outputs.front().numel() == 0) return;
  check_status("lighthouse::window_broadcast", kernels::cuda::window_broadcast(common, arrays, current_stream()));
}

}  // namespace lighthouse::ops::cuda
