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
#include "model/block.h"
#include "model/config.h"
#include "model/rotary.h"

namespace lighthouse::model {

/// Throws std::invalid_argument on a configuration that makes no model, naming the key.
void check(const ModelConfig& config);

enum class AttentionKind { kDense, kLighthouse };

class RmsNormImpl : public torch::nn::Module {
 public:
  RmsNormImpl(int64_t size, double epsilon);
  torch::Tensor forward(const torch::Tensor& x);  // [.., C] -> [.., C]
  const torch::Tensor& weight() const { return weight_; }

 private:
  torch::Tensor weight_;
  double epsilon_;
};
TORCH_MODULE(RmsNorm);

class SelfAttentionImpl : public torch::nn::Module {
 public:
  explicit SelfAttentionImpl(const ModelConfig& config);
  /// Puts the projections' weights where run_block() wants them.
  void name_weights(BlockWeights& weights) const;

 private:
  torch::nn::Linear q_proj_{nullptr}, k_proj_{nullptr}, v_proj_{nullptr}, o_proj_{nullptr};
};
TORCH_MODULE(SelfAttention);

/// SwiGLU: down(silu(gate(x)) * up(x)).
class FeedForwardImpl : public torch::nn::Module {
 public:
  explicit FeedForwardImpl(const ModelConfig& config);
  void name_weights(BlockWeights& weights) const;

 private:
  torch::nn::Linear gate_proj_{nullptr}, up_proj_{nullptr}, down_proj_{nullptr};
};
TORCH_MODULE(FeedForward);

class DecoderLayerImpl : public torch::nn::Module {
 public:
  explicit DecoderLayerImpl(const ModelConfig& config);
  BlockWeights weights() const;

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
  /// What is computed in, whatever the parameters' type: products and activations are of it, sums, norms' statistics
  /// and the loss float32. Default: the parameters' type.
  void set_compute_type(torch::ScalarType type) { compute_type_ = type; }
  /// What backward computes again.
  void set_recompute(Recompute recompute) { recompute_ = recompute; }

  /// Shows every layer's query [B, H, N, D] and key [B, K, N, D], rotary embedding applied, to `observer` in each
  /// forward(); an empty one ends that.
  using AttentionObserver = std::function<void(int64_t layer, const torch::Tensor& query, const torch::Tensor& key)>;
  void set_attention_observer(const AttentionObserver& observer) { observer_ = observer; }
  const ModelConfig& config() const { return config_; }

  /// tokens int64 [B, N] -> logits [B, N, V].
  torch::Tensor forward(const torch::Tensor& tokens) { return logits(hidden(tokens)); }
  /// tokens int64 [B, N] -> [B, N, C], after the last norm.
  torch::Tensor hidden(const torch::Tensor& tokens);
  /// [.., C] -> [.., V].
  torch::Tensor logits(const torch::Tensor& hidden);
  /// Mean cross-entropy, in nats, of predicting targets [B, N] from tokens [B, N]; whole logits never exist.
  /// Divided by `parts`: a batch may be one of several whose gradients are added up.
  torch::Tensor loss(const torch::Tensor& tokens, const torch::Tensor& targets, int64_t parts = 1);
  /// Of every token apart: float32 [B, N]; no gradient.
  torch::Tensor losses(const torch::Tensor& tokens, const torch::Tensor& targets);

 private:
  const AttentionOptions* layer_options(int64_t layer) const;
  const RotaryTable& table_for(int64_t length, torch::Device device);
  torch::ScalarType compute_type() const;
  const torch::Tensor& output_weight() const;  // [V, C]

  ModelConfig config_;
  AttentionKind kind_ = AttentionKind::kDense;
  AttentionOptions options_;
  std::optional<torch::ScalarType> compute_type_;
  Recompute recompute_ = Recompute::kNone;
  AttentionObserver observer_;
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
