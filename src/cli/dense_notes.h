// Where a schedule's Lighthouse stages attend densely, by their sizes or by the choice of layers.
#pragma once

#include "train/config.h"

namespace lighthouse::cli {

/// On standard error, a line for each such stage, with its numbers, or one for all.
void note_dense_stages(const train::RunConfig& config);

}  // namespace lighthouse::cli
