// Text from a model, byte by byte, under dense attention with a key/value cache.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "model/decoder.h"

namespace lighthouse::inference {

struct GenerateOptions {
  int64_t max_new_tokens = 256;
  double temperature = 0.8;  ///< 0: always the likeliest byte.
  double top_p = 0.95;       ///< Draw from the smallest set of bytes that holds this much probability.
  uint64_t seed = 0;
};

/// Continues `prompt` (at least one byte) and returns the new bytes; `on_byte` sees each as it comes. The same options
/// give the same text. Throws std::invalid_argument on an empty prompt or options out of range.
std::string generate(model::Decoder& decoder, const std::string& prompt, const GenerateOptions& options,
                     const std::function<void(char)>& on_byte = {});

}  // namespace lighthouse::inference
