// A Llama-3-style decoder whose attention can be switched between dense and Lighthouse, layer by layer, at any time.
//
// Parameters carry Hugging Face's names. Switching touches no weight: both kinds compute from the same projections.
//
// Shapes: B batch, N tokens, H query heads, K key/value heads, D head dimension, C hidden size, V vocabulary.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include <functional>
#include <memory>
#include <vector>

#include "lighthouse/attention.h"
#include "model/config.h"
#include "model/rotary.h"

namespace lighthouse::model {

/// Throws std::invalid_argument on a configuration that makes no model, naming the key.
void check(const ModelConfig& config);

enum class AttentionKind { kDense, kLighthouse };

/// Keys and values of the tokens seen so far, one pair [B, K, seen, D] per layer; for generation.
struct KeyValueCache {
  std::vector<torch::Tensor> keys;
  std::vector<torch::Tensor> values;
  int64_t length() const { return keys.empty() ? 0 : keys.front().size(2); }
};

class RmsNormImpl : public torch::nn::Module {
 public:
  RmsNormImpl(int64_t size, double epsilon);
  torch::Tensor forward(const torch::Tensor& x);  // [.., C] -> [.., C]

 private:
  torch::Tensor weight_;
  double epsilon_;
};
TORCH_MODULE(RmsNorm);

class SelfAttentionImpl : public torch::nn::Module {
 public:
  explicit SelfAttentionImpl(const ModelConfig& config);
  /// x [B, N, C] -> [B, N, C]. Options: null for dense attention.
  torch::Tensor forward(const torch::Tensor& x, const RotaryTable& table, const AttentionOptions* options);
  /// Appends x's keys and values to (key, value) and attends densely to all of them. One token, or an empty cache.
  torch::Tensor forward_cached(const torch::Tensor& x, const RotaryTable& table, torch::Tensor& key,
                               torch::Tensor& value);
  /// Called in forward with query [B, H, N, D] and key [B, K, N, D] as attention gets them.
  using Observer = std::function<void(const torch::Tensor& query, const torch::Tensor& key)>;
  void set_observer(Observer observer) { observer_ = std::move(observer); }

 private:
  struct Heads {
    torch::Tensor query;  // [B, H, N, D]
    torch::Tensor key;    // [B, K, N, D]
    torch::Tensor value;  // [B, K, N, D]
    std::optional<WindowScores> scores;
  };
  /// With the scores that selection by `options` takes; null: none.
  Heads project(const torch::Tensor& x, const RotaryTable& table, const AttentionOptions* options);
  torch::Tensor merge(const torch::Tensor& heads);  // [B, H, N, D] -> [B, N, C]

  int64_t num_heads_;
  int64_t num_kv_heads_;
  int64_t head_dim_;
  Observer observer_;
  torch::nn::Linear q_proj_{nullptr}, k_proj_{nullptr}, v_proj_{nullptr}, o_proj_{nullptr};
};
TORCH_MODULE(SelfAttention);

/// SwiGLU: down(silu(gate(x)) * up(x)).
class FeedForwardImpl : public torch::nn::Module {
 public:
  explicit FeedForwardImpl(const ModelConfig& config);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  torch::nn::Linear gate_proj_{nullptr}, up_proj_{nullptr}, down_proj_{nullptr};
};
TORCH_MODULE(FeedForward);

class DecoderLayerImpl : public torch::nn::Module {
 public:
  explicit DecoderLayerImpl(const ModelConfig& config);
  torch::Tensor forward(const torch::Tensor& x, const RotaryTable& table, const AttentionOptions* options);
  torch::Tensor forward_cached(const torch::Tensor& x, const RotaryTable& table, torch::Tensor& key,
                               torch::Tensor& value);
  SelfAttentionImpl& attention() { return *self_attn_; }

 private:
  RmsNorm input_layernorm_{nullptr}, post_attention_layernorm_{nullptr};
  SelfAttention self_attn_{nullptr};
  FeedForward mlp_{nullptr};
};
TORCH_MODULE(DecoderLayer);

class DecoderImpl : public torch::nn::Module {
 public:
  /// Weights are drawn from normal(0, initializer_range) by torch's default generator. Throws as check() does.
  explicit DecoderImpl(const ModelConfig& config);

  /// Attention of the layers that are not in full_attention_layers. Weights are not touched.
  void set_attention(AttentionKind kind, const AttentionOptions& options = {});
  AttentionKind attention_kind() const { return kind_; }
  /// Shows every layer's query [B, H, N, D] and key [B, K, N, D], rotary embedding applied, to `observer` in each
  /// forward(); an empty one ends that.
  using AttentionObserver = std::function<void(int64_t layer, const torch::Tensor& query, const torch::Tensor& key)>;
  void set_attention_observer(const AttentionObserver& observer);
  const ModelConfig& config() const { return config_; }

  /// tokens int64 [B, N] -> logits [B, N, V].
  torch::Tensor forward(const torch::Tensor& tokens);
  /// Mean cross-entropy, in nats, of predicting targets [B, N] from tokens [B, N].
  torch::Tensor loss(const torch::Tensor& tokens, const torch::Tensor& targets);
  /// Logits [B, V] of the last of `tokens`, which follow what the cache holds; dense attention, whatever the kind.
  torch::Tensor next_logits(const torch::Tensor& tokens, KeyValueCache& cache);

 private:
  const AttentionOptions* layer_options(int64_t layer) const;
  const RotaryTable& table_for(int64_t length);
  torch::Tensor hidden_to_logits(const torch::Tensor& hidden);

  ModelConfig config_;
  AttentionKind kind_ = AttentionKind::kDense;
  AttentionOptions options_;
  std::vector<bool> always_dense_;
  torch::Tensor inverse_frequencies_;
  RotaryTable table_;                         // of the last length asked for
  std::shared_ptr<torch::nn::Module> model_;  // holds what Hugging Face names model.*
  torch::nn::Embedding embed_tokens_{nullptr};
  torch::nn::ModuleList layers_{nullptr};
  RmsNorm norm_{nullptr};
  torch::nn::Linear lm_head_{nullptr};  // null where the embedding is tied
};
TORCH_MODULE(Decoder);

/// Number of trained values; a tied embedding counts once.
int64_t num_parameters(const torch::nn::Module& module);

}  // namespace lighthouse::model
