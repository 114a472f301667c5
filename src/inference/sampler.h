// One token from logits: the likeliest, or drawn.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <random>

namespace lighthouse::inference {

struct SamplingOptions {
  double temperature = 0.8;  ///< 0: always the likeliest.
  double top_p = 0.95;       ///< Draw from the smallest set of tokens that holds this much probability.
  uint64_t seed = 0;
};

/// Throws std::invalid_argument on options out of range.
void check(const SamplingOptions& options);

/// Works where the logits are; one number goes to the host.
class Sampler {
 public:
  /// Throws std::invalid_argument on options out of range.
  explicit Sampler(const SamplingOptions& options);

  /// logits float32 [V] -> a token. Throws std::runtime_error where they are not numbers.
  int64_t operator()(const torch::Tensor& logits);

 private:
  SamplingOptions options_;
  std::mt19937_64 random_;
};

}  // namespace lighthouse::inference
