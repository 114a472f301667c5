// The CUDA side of fused.h, which has checked sizes, dtypes and devices. In a build without CUDA each throws, as the
// operators do.
#pragma once

#include "kernels/parameters.h"
#include "ops/fused.h"

namespace lighthouse::ops::cuda {

/// Whether the kernels take rows of this length and type; torch's operators stand in otherwise.
bool norm_fits(const at::Tensor& input);
Normalized rms_norm(const at::Tensor& input, const at::Tensor& addend, const at::Tensor& gain, double epsilon);
NormGradients rms_norm_backward(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& gain, double epsilon,
                                const at::Tensor& residual, bool with_normal);
/// Whether the kernels take this type.
bool swiglu_fits(const at::Tensor& gate_up);
at::Tensor swiglu(const at::Tensor& gate_up);
SwigluGradients swiglu_backward(const at::Tensor& grad, at::Tensor gate_up);

/// `scores` null: rotation only.
void rotate(const Geometry& geometry, const at::Tensor& query, const at::Tensor& key, const at::Tensor& cos,
            const at::Tensor& sin, bool inverse, const WindowScores* scores, const at::Tensor& to_query,
            const at::Tensor& to_key);
/// Window-broadcast of tensors that share a tree.
void broadcast_into(kernels::Span span, const std::vector<at::Tensor>& inputs, const Tree& tree,
                    const std::vector<at::Tensor>& outputs);

}  // namespace lighthouse::ops::cuda
