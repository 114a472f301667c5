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

/// Throws std::runtime_error that lists what is missing, unexpected or of another shape, std::invalid_argument where no
/// model is so. A count of layers that the tensors cannot be of is refused before anything is listed.
void expect_parameters(const NamedTensors& tensors, const ModelConfig& config, const std::string& source);

}  // namespace lighthouse::model
