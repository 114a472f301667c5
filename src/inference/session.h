// A model made ready to generate: weights packed for the products, and room for the keys and values of a text.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "model/config.h"
#include "model/rotary.h"
#include "model/safetensors.h"

namespace lighthouse::inference {

struct SessionOptions {
  torch::Device device = torch::kCPU;
  torch::ScalarType type = torch::kFloat;  ///< Of weights, products, keys and values. Norms and logits are float32.
  int64_t capacity = 0;                    ///< Tokens of a text, prompt included.
};

/// One text under dense attention. Each call computes its own tokens only, and attends to the keys and values of those
/// before them, which stay where they were first written.
///
/// Shapes: N tokens, H query heads, K key/value heads, D head dimension, C hidden size, V vocabulary.
class Session {
 public:
  /// Weights under Hugging Face's names, of any floating type; `weights` is left without those that were copied. Throws
  /// std::runtime_error where they are not the configuration's.
  Session(const model::ModelConfig& config, model::NamedTensors weights, const SessionOptions& options);

  /// Appends `tokens`, int64 [N], and returns the logits float32 [V] that follow the last. One token, or the text's
  /// first ones. Throws std::invalid_argument beyond the capacity.
  torch::Tensor append(const torch::Tensor& tokens);
  /// Goes back to an empty text.
  void clear() { length_ = 0; }

  int64_t length() const { return length_; }
  int64_t capacity() const { return capacity_; }
  int64_t vocab_size() const { return config_.vocab_size; }
  torch::Device device() const { return output_.device(); }

 private:
  struct Layer {
    torch::Tensor input_norm;  // float32 [C]
    torch::Tensor projection;  // [(H + 2 K) D, C]: query, key, value
    torch::Tensor output;      // [C, H D]
    torch::Tensor post_norm;   // float32 [C]
    torch::Tensor gate_up;     // [2 F, C]
    torch::Tensor down;        // [C, F]
    torch::Tensor keys;        // [1, K, capacity, D], rotated
    torch::Tensor values;      // [1, K, capacity, D]
  };
  torch::Tensor attend(const Layer& layer, const torch::Tensor& projections, bool last_row_only) const;
  torch::Tensor feed_forward(const Layer& layer, const torch::Tensor& rows) const;

  model::ModelConfig config_;
  int64_t capacity_;
  int64_t length_ = 0;
  model::RotaryTable table_;  // of the whole capacity
  torch::Tensor embedding_;   // [V, C]
  std::vector<Layer> layers_;
  torch::Tensor norm_;    // float32 [C]
  torch::Tensor output_;  // [V, C]
};

}  // namespace lighthouse::inference
