// A model that is broken is not scored: whatever the largest of its logits is then, it is no answer.
#pragma once

#include <torch/types.h>

#include <stdexcept>
#include <string>

namespace lighthouse::analysis {

/// Throws std::runtime_error where a value is infinite or none; `what` names the values.
inline void expect_finite(const torch::Tensor& values, const std::string& what) {
  if (values.isfinite().all().item<bool>()) return;
  throw std::runtime_error("the model's " + what +
                           " are not finite: its weights are not, or are too large for the precision it was trained "
                           "in. There is nothing to score");
}

}  // namespace lighthouse::analysis
