// What a run will need of memory, known before anything is allocated.
#pragma once

#include <string>

#include "model/block.h"
#include "train/config.h"

namespace lighthouse::train {

/// Bytes; floating-point numbers, since a mistyped size may need more than 2^63.
struct MemoryEstimate {
  double parameters = 0;   ///< Weights, gradients and AdamW's two moments, float32.
  double activations = 0;  ///< Kept from forward to backward, of the stage that keeps most.
  double working = 0;      ///< The most that stands beside them at once.
  double total() const { return parameters + activations + working; }
};

/// For products and activations of `element_size` bytes.
MemoryEstimate estimate_memory(const RunConfig& config, int64_t element_size, model::Recompute recompute);

/// Bytes of the weights in float32 and what dense attention needs beside them to read one sequence, without gradients.
double estimate_reading(const model::ModelConfig& model, int64_t element_size, int64_t tokens);

/// Bytes of the machine's memory, or of this process's control group where that is less.
double available_memory_bytes();

/// Throws std::invalid_argument where the weights alone do not fit, before a model of that shape is made.
void expect_weights_fit(const model::ModelConfig& model, double available);

/// Throws std::invalid_argument, with the figures and what to change, where a run cannot fit.
void expect_fits_memory(const RunConfig& config, int64_t element_size, model::Recompute recompute, double available);

}  // namespace lighthouse::train
