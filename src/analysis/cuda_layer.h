// A layer's inputs on the CUDA device, and the calls that are timed.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>

#include "analysis/cuda_result.h"
#include "analysis/cuda_timing.h"
#include "lighthouse/attention.h"

namespace lighthouse::analysis {

/// An attention's leaves, and the gradient of its output.
struct CudaInputs {
  at::Tensor query, key, value;
  at::Tensor grad;
};

using CudaAttention = std::function<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&)>;

/// Random, the same for the same case.
CudaInputs make_cuda_inputs(const BenchmarkSetting& setting, const CudaCase& where);

AttentionOptions options_of(const CudaCase& where);

/// lighthouse::attention, eager.
CudaAttention layer_attention(const CudaCase& where);
/// The default kernel of dense_attention.
CudaAttention default_attention();
/// FlashAttention-2.
CudaAttention flash_attention();

/// Forward without gradients.
Work forward_of(const CudaAttention& attention, const CudaInputs& inputs);
/// Forward and the gradients of the three inputs.
Work forward_backward_of(const CudaAttention& attention, const CudaInputs& inputs);

}  // namespace lighthouse::analysis
