// Rotary position embedding for Lighthouse attention: rotates queries and keys, and takes selection's scores of them on
// the way, so that scoring costs no pass of its own.
//
// Rotate-half convention, as in Hugging Face's Llama: pair (d, d + D/2) of a row turns by its token's angle.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

#include "lighthouse/attention.h"

namespace lighthouse {

/// query [B, H, N, D] and key [B, K, N, D], rotated; dtype and strides are the inputs'.
struct Rotated {
  at::Tensor query;
  at::Tensor key;
  WindowScores scores;  ///< Of the rotated vectors as they are stored, as select() would score them.
};

/// Rotates by the angles whose cosines and sines are `cos` and `sin`, float32 [N, D/2] each. Computed in float32
/// (float64 for float64 inputs), rounded once. Differentiable in query and key. Any strides; D must be even.
std::pair<at::Tensor, at::Tensor> rotary(const at::Tensor& query, const at::Tensor& key, const at::Tensor& cos,
                                         const at::Tensor& sin);

/// The same, with the scores that attention() or select() with these pyramid options take in place of their own pass.
/// No gradient flows through the scores.
Rotated rotary_score(const at::Tensor& query, const at::Tensor& key, const at::Tensor& cos, const at::Tensor& sin,
                     const PyramidOptions& options);

}  // namespace lighthouse
