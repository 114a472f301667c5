// The shape of a model. Names are those of Hugging Face's Llama configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace lighthouse::model {

/// Llama-3 rotary scaling: low frequencies are slowed by `factor`, high ones kept, those between interpolated.
struct RopeScaling {
  double factor = 8.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  int64_t original_max_position_embeddings = 8192;
  bool operator==(const RopeScaling&) const = default;
};

struct ModelConfig {
  int64_t vocab_size = 256;
  int64_t hidden_size = 128;
  int64_t intermediate_size = 384;
  int64_t num_hidden_layers = 4;
  int64_t num_attention_heads = 4;
  int64_t num_key_value_heads = 4;
  int64_t head_dim = 32;
  double rope_theta = 10000.0;
  std::optional<RopeScaling> rope_scaling;
  double rms_norm_eps = 1e-5;
  bool tie_word_embeddings = false;
  double initializer_range = 0.02;
  /// Layers that attend densely in every stage.
  std::vector<int64_t> full_attention_layers;
};

}  // namespace lighthouse::model
