// Cross-entropy over the vocabulary without whole logits: rows are taken in chunks, and a chunk's gradient is computed
// while its logits are there.
#pragma once

#include <torch/types.h>

namespace lighthouse::model {

/// Mean cross-entropy, in nats (float32), of hidden [rows, C] times weight [V, C] transposed against int64 targets
/// [rows]. Products are in hidden's type, the rest in float32; the weight's gradient comes in its own type. Logits
/// stand for a chunk of rows only: about 200 MB beside the gradients for V up to 32K, 0.8 GB for 128K, a third more in
/// float32. Differentiable in hidden and weight, once. Divided by `parts`, that of a step's gradient which these rows
/// are: dividing the result would round hidden's gradient once more.
torch::Tensor token_loss(const torch::Tensor& hidden, const torch::Tensor& weight, const torch::Tensor& targets,
                         int64_t parts = 1);

/// The losses of single tokens, float32 [rows]; no gradient.
torch::Tensor token_losses(const torch::Tensor& hidden, const torch::Tensor& weight, const torch::Tensor& targets);

/// Rows of a chunk for a vocabulary.
int64_t token_loss_rows(int64_t vocab_size);

}  // namespace lighthouse::model
