// One token from logits: the likeliest, or drawn.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <random>

namespace lighthouse::inference {

/// Logits over a smaller temperature would not be float32 numbers; over a larger one all tokens are alike.
inline constexpr double kLeastTemperature = 1e-6;
inline constexpr double kMostTemperature = 1e6;

struct SamplingOptions {
  double temperature = 0.8;  ///< 0: always the likeliest. Otherwise from kLeastTemperature to kMostTemperature.
  double top_p = 0.95;       ///< Draw from the fewest of the likeliest tokens that hold this much probability, the one
                             ///< that reaches it included. Of equally likely ones those of lower numbers come first.
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
