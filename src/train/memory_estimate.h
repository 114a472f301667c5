// What a run will need of memory at the least, known before anything is allocated.
#pragma once

#include "train/config.h"

namespace lighthouse::train {

/// Bytes that training holds at once, from below: weights, gradients and AdamW's two moments in float32, and the
/// activations that backward needs. A floating-point number, since a mistyped size may need more than 2^63 bytes.
double least_training_bytes(const RunConfig& config);

/// Bytes of the machine's memory, or of this process's control group where that is less.
double available_memory_bytes();

/// Throws std::invalid_argument, with both figures and what to change, where a run cannot fit.
void expect_fits_memory(const RunConfig& config);

}  // namespace lighthouse::train
