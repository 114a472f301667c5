#include "analysis/cuda_layer.h"

#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace lighthouse::analysis {

using at::Tensor;

CudaInputs make_cuda_inputs(const BenchmarkSetting& setting, const CudaCase& where) {
  torch::manual_seed(0);
  const auto options = at::TensorOptions(at::kCUDA).dtype(setting.dtype);
  const auto random = [&](int64_t heads) {
    const Tensor x =
        where.layout == Layout::kBhnd
            ? at::randn({setting.batch, heads, where.num_tokens, setting.head_dim}, options)
            : at::randn({setting.batch, where.num_tokens, heads, setting.head_dim}, options).transpose(1, 2);
    return x.detach().requires_grad_();
  };
  CudaInputs inputs{random(setting.heads), random(setting.kv_heads), random(setting.kv_heads), {}};
  inputs.grad = at::randn_like(inputs.query.detach());
  return inputs;
}

AttentionOptions options_of(const CudaCase& where) {
  AttentionOptions options;
  static_cast<PyramidOptions&>(options) = where.variant.over(where.num_tokens);
  options.causal_selection = where.causal_selection;
  return options;
}

CudaAttention layer_attention(const CudaCase& where) {
  return [options = options_of(where)](const Tensor& query, const Tensor& key, const Tensor& value) {
    return lighthouse::attention(query, key, value, options);
  };
}

CudaAttention default_attention() {
  return [](const Tensor& query, const Tensor& key, const Tensor& value) { return dense_attention(query, key, value); };
}

CudaAttention flash_attention() {
  return [](const Tensor& query, const Tensor& key, const Tensor& value) {
    return std::get<0>(
        at::_scaled_dot_product_flash_attention(query, key, value, /*dropout_p=*/0.0, /*is_causal=*/true));
  };
}

Work forward_of(const CudaAttention& attention, const CudaInputs& inputs) {
  return [=] {
    const at::NoGradGuard no_gradients;
    attention(inputs.query, inputs.key, inputs.value);
  };
}

Work forward_backward_of(const CudaAttention& attention, const CudaInputs& inputs) {
  return [=] {
    const Tensor output = attention(inputs.query, inputs.key, inputs.value);
    torch::autograd::grad({output}, {inputs.query, inputs.key, inputs.value}, {inputs.grad});
  };
}

}  // namespace lighthouse::analysis
