// Angles of the rotary position embedding, in the arithmetic that transformers uses.
#pragma once

#include <torch/types.h>

#include "model/config.h"

namespace lighthouse::model {

/// Frequencies per pair of dimensions, float32 [D / 2], Llama-3 scaling applied.
torch::Tensor inverse_frequencies(const ModelConfig& config);

/// Cosines and sines of positions [first, first + count): float32 [count, D / 2] each.
struct RotaryTable {
  torch::Tensor cos;
  torch::Tensor sin;
};
RotaryTable rotary_table(const torch::Tensor& inverse_frequencies, int64_t first, int64_t count);

}  // namespace lighthouse::model
