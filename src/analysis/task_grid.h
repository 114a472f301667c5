// What the synthetic tasks share: a grid of depths and lengths, and models that are asked through functions.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "analysis/confidence.h"
#include "model/decoder.h"

namespace lighthouse::analysis {

struct TaskGrid {
  std::vector<int64_t> lengths;                                ///< Tokens that the model reads.
  std::vector<int64_t> depths = {0, 15, 30, 50, 70, 85, 100};  ///< Percent: where the thing to find stands.
  int64_t trials = 10;                                         ///< Of each cell.
  uint64_t seed = 0;
};

/// Throws std::invalid_argument naming what is out of range; `shortest` is the task's own least length.
void check(const TaskGrid& grid, int64_t shortest, const std::string& task);

/// int64 [1, bytes].
torch::Tensor tokens_of(const std::string& bytes);

/// tokens int64 [1, N] on the CPU -> logits [rows, V] of the last `rows` positions, float32 on the CPU.
using LastLogits = std::function<torch::Tensor(const torch::Tensor& tokens, int64_t rows)>;

/// The decoder under its present attention. It must live as long as the function, which throws std::runtime_error where
/// the logits are not finite.
LastLogits last_logits_of(model::Decoder& decoder);

/// Called before each sequence with the task's name and the sequence's tokens; may throw to end an evaluation.
using BeforeSequence = std::function<void(const std::string& task, int64_t tokens)>;

}  // namespace lighthouse::analysis
