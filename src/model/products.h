// Matrix products of a training pass in mixed precision.
#pragma once

#include <torch/types.h>

#include <vector>

namespace lighthouse::model {

/// Weights [O_i, I] one above the other, rounded to `type`: [sum O_i, I]. A single one of that type is itself.
torch::Tensor pack(const std::vector<torch::Tensor>& weights, torch::ScalarType type);

/// x [rows, I] times weight [O, I] transposed -> [rows, O].
torch::Tensor product(const torch::Tensor& x, const torch::Tensor& weight);

/// The gradient of `weight` in product(x, weight), summed in float32 (float64 for float64): [O, I].
torch::Tensor weight_gradient(const torch::Tensor& grad, const torch::Tensor& x);

/// Flops of a product.
inline double product_flops(int64_t rows, int64_t in, int64_t out) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
}

}  // namespace lighthouse::model
