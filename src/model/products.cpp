#include "model/products.h"

#include <torch/types.h>

namespace lighthouse::model {

using torch::Tensor;

Tensor pack(const std::vector<Tensor>& weights, torch::ScalarType type) {
  if (weights.size() == 1 && weights.front().scalar_type() == type) return weights.front().detach();
  int64_t rows = 0;
  for (const Tensor& weight : weights) rows += weight.size(0);
  Tensor packed = torch::empty({rows, weights.front().size(1)}, weights.front().options().dtype(type));
  int64_t row = 0;
  for (const Tensor& weight : weights) {
    packed.narrow(0, row, weight.size(0)).copy_(weight.detach());
    row += weight.size(0);
  }
  return packed;
}

Tensor product(const Tensor& x, const Tensor& weight) { return torch::mm(x, weight.t()); }

Tensor weight_gradient(const Tensor& grad, const Tensor& x) {
  const bool narrow = grad.scalar_type() == torch::kBFloat16 || grad.scalar_type() == torch::kHalf;
  if (!narrow) return torch::mm(grad.t(), x);
  // The CPU's product has no wider result than its factors.
  if (!grad.is_cuda()) return torch::mm(grad.t(), x).to(torch::kFloat);
  return torch::mm(grad.t(), x, torch::kFloat);
}

}  // namespace lighthouse::model
