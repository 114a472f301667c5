// Which tensors a model has, without making one.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/config.h"
#include "model/safetensors.h"

namespace lighthouse::model {

/// Names and shapes of a decoder's parameters, in its order.
std::vector<std::pair<std::string, std::vector<int64_t>>> parameter_list(const ModelConfig& config);

/// Throws std::runtime_error that lists what is missing, unexpected or of another shape.
void expect_parameters(const NamedTensors& tensors, const ModelConfig& config, const std::string& source);

}  // namespace lighthouse::model
