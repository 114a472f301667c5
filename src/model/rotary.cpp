#include "model/rotary.h"

#include <cmath>
#include <numbers>

namespace lighthouse::model {

torch::Tensor inverse_frequencies(const ModelConfig& config) {
  const auto exponents = torch::arange(0, config.head_dim, 2, torch::kInt64).to(torch::kFloat) / config.head_dim;
  torch::Tensor frequencies = 1.0 / torch::pow(config.rope_theta, exponents);
  if (!config.rope_scaling) return frequencies;

  const RopeScaling& scaling = *config.rope_scaling;
  const auto original_length = static_cast<double>(scaling.original_max_position_embeddings);
  // A number over a tensor is the tensor's reciprocal times the number in Python: the same here, to the last bit.
  const torch::Tensor wavelengths = frequencies.reciprocal() * (2.0 * std::numbers::pi);
  const torch::Tensor slowed = frequencies / scaling.factor;
  const torch::Tensor blend = (wavelengths.reciprocal() * original_length - scaling.low_freq_factor) /
                              (scaling.high_freq_factor - scaling.low_freq_factor);
  const torch::Tensor blended = (1 - blend) * frequencies / scaling.factor + blend * frequencies;
  const torch::Tensor low = wavelengths > original_length / scaling.low_freq_factor;
  const torch::Tensor high = wavelengths < original_length / scaling.high_freq_factor;
  return torch::where(low, slowed, torch::where(high, frequencies, blended));
}

RotaryTable rotary_table(const torch::Tensor& inverse_frequencies, int64_t first, int64_t count) {
  const auto positions = torch::arange(first, first + count, inverse_frequencies.options());
  const torch::Tensor angles = torch::outer(positions, inverse_frequencies);
  return {angles.cos(), angles.sin()};
}

}  // namespace lighthouse::model
