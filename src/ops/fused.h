// What an explicit training pass and generation need beside the operators: elementwise parts of a decoder fused, the
// products of a single token, and the operators' results written where the caller says. No gradients; the caller's
// backward pass calls the adjoints.
//
// What may come from a caller's own attention, addends and gradients, may have any strides and start anywhere in its
// memory; other sizes, dtypes and devices than those of the rest are errors that say which.
#pragma once

#include <ATen/core/Tensor.h>

#include "lighthouse/attention.h"

namespace lighthouse::ops {

struct Normalized {
  at::Tensor sum;     ///< input + addend, or the input where there is none.
  at::Tensor normal;  ///< Its norm, times the gain.
};

/// Root-mean-square norm of contiguous rows [rows, C] (of input + addend where that is defined); gain float32 [C].
Normalized rms_norm(const at::Tensor& input, const at::Tensor& addend, const at::Tensor& gain, double epsilon);

struct NormGradients {
  at::Tensor input;   ///< [rows, C], `residual` added where that is defined.
  at::Tensor gain;    ///< float32 [C].
  at::Tensor normal;  ///< The norm again, where it is asked for.
};
NormGradients rms_norm_backward(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& gain, double epsilon,
                                const at::Tensor& residual, bool with_normal);

/// silu(gate) * up: contiguous gate_up [rows, 2 F], gate before up -> [rows, F].
at::Tensor swiglu(const at::Tensor& gate_up);

struct SwigluGradients {
  at::Tensor gate_up;  ///< [rows, 2 F].
  at::Tensor output;   ///< swiglu(gate_up) again, [rows, F].
};
/// Writes the gradient over `gate_up`.
SwigluGradients swiglu_backward(const at::Tensor& grad, at::Tensor gate_up);

/// x [1, I] times weight [O, I] transposed -> [1, O]. On the CPU in float32 and bfloat16 it reads the weight as fast as
/// memory gives it, by all threads; sums are float32. Elsewhere it is torch's product.
at::Tensor row_product(const at::Tensor& x, const at::Tensor& weight);

/// The attention of one token: query [1, H, 1, D] to key and value [1, K, N, D] of its type -> [1, H D]. On the CPU in
/// float32 and bfloat16 keys and values are read once, by all threads; elsewhere it is torch's.
at::Tensor token_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value);

/// Rotates query [B, H, N, D] and key [B, K, N, D] into `to_query` and `to_key`, which may be they themselves.
void rotate_into(const at::Tensor& query, const at::Tensor& key, const at::Tensor& cos, const at::Tensor& sin,
                 bool inverse, const at::Tensor& to_query, const at::Tensor& to_key);
/// The same, with the scores of windows.
WindowScores rotate_and_score_into(const at::Tensor& query, const at::Tensor& key, const at::Tensor& cos,
                                   const at::Tensor& sin, const PyramidOptions& options, const at::Tensor& to_query,
                                   const at::Tensor& to_key);

/// scatter() of output [B, H, S, D] into `to` [B, H, N, D], of any strides with contiguous rows.
void scatter_into(const at::Tensor& output, const Tree& tree, const at::Tensor& to);
/// The adjoint of scatter(), [B, H, N, D] -> [B, H, S, D].
at::Tensor scatter_adjoint(const at::Tensor& grad, const Tree& tree);
/// The adjoint of gather() into tensors [B, heads, N, D], of any strides with contiguous rows.
void gather_adjoint_into(const Gathered& grads, const Tree& tree, const at::Tensor& to_query, const at::Tensor& to_key,
                         const at::Tensor& to_value);

}  // namespace lighthouse::ops
