#include "model/decoder.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <initializer_list>
#include <stdexcept>
#include <string>

#include "model/parts.h"
#include "model/token_loss.h"

namespace lighthouse::model {
namespace {

torch::nn::Linear make_linear(int64_t in, int64_t out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
}

/// Before anything is computed from the sizes.
void expect_matrix(const std::string& name, std::initializer_list<int64_t> sizes) {
  int64_t values = 1;
  std::string got;
  bool fits = true;
  for (const int64_t size : sizes) {
    fits = fits && !__builtin_mul_overflow(values, size, &values);
    got += (got.empty() ? "" : " x ") + std::to_string(size);
  }
  if (!fits) throw std::invalid_argument("model: " + name + " must be below 2^63; got " + got);
}

}  // namespace

void check(const ModelConfig& c) {
  const auto expect = [](bool holds, const std::string& message) {
    if (!holds) throw std::invalid_argument("model: " + message);
  };
  const auto text = [](int64_t value) { return std::to_string(value); };
  expect(c.vocab_size > 0 && c.hidden_size > 0 && c.intermediate_size > 0 && c.num_hidden_layers > 0 &&
             c.num_attention_heads > 0 && c.num_key_value_heads > 0,
         "every size must be positive");
  expect_matrix("vocab_size x hidden_size", {c.vocab_size, c.hidden_size});
  expect_matrix("hidden_size x intermediate_size", {c.hidden_size, c.intermediate_size});
  // Queries, keys and values of no more heads than the queries have.
  expect_matrix("3 x num_attention_heads x head_dim x hidden_size",
                {3, c.num_attention_heads, std::max<int64_t>(1, c.head_dim), c.hidden_size});
  expect(c.num_attention_heads % c.num_key_value_heads == 0,
         "num_attention_heads must be a multiple of num_key_value_heads; got " + text(c.num_attention_heads) + " and " +
             text(c.num_key_value_heads));
  expect(c.head_dim > 0 && c.head_dim % 2 == 0, "head_dim must be even; got " + text(c.head_dim));
  for (const int64_t layer : c.full_attention_layers) {
    expect(layer >= 0 && layer < c.num_hidden_layers,
           "full_attention_layers must name layers 0 to " + text(c.num_hidden_layers - 1) + "; got " + text(layer));
  }
}

RmsNormImpl::RmsNormImpl(int64_t size, double epsilon)
    : weight_(register_parameter("weight", torch::ones({size}))), epsilon_(epsilon) {}

torch::Tensor RmsNormImpl::forward(const torch::Tensor& x) { return run_norm(x, weight_, epsilon_); }

SelfAttentionImpl::SelfAttentionImpl(const ModelConfig& config) {
  const int64_t query = config.num_attention_heads * config.head_dim;
  const int64_t key = config.num_key_value_heads * config.head_dim;
  q_proj_ = register_module("q_proj", make_linear(config.hidden_size, query));
  k_proj_ = register_module("k_proj", make_linear(config.hidden_size, key));
  v_proj_ = register_module("v_proj", make_linear(config.hidden_size, key));
  o_proj_ = register_module("o_proj", make_linear(query, config.hidden_size));
}

void SelfAttentionImpl::name_weights(BlockWeights& weights) const {
  weights.query = q_proj_->weight;
  weights.key = k_proj_->weight;
  weights.value = v_proj_->weight;
  weights.output = o_proj_->weight;
}

FeedForwardImpl::FeedForwardImpl(const ModelConfig& config) {
  gate_proj_ = register_module("gate_proj", make_linear(config.hidden_size, config.intermediate_size));
  up_proj_ = register_module("up_proj", make_linear(config.hidden_size, config.intermediate_size));
  down_proj_ = register_module("down_proj", make_linear(config.intermediate_size, config.hidden_size));
}

void FeedForwardImpl::name_weights(BlockWeights& weights) const {
  weights.gate = gate_proj_->weight;
  weights.up = up_proj_->weight;
  weights.down = down_proj_->weight;
}

DecoderLayerImpl::DecoderLayerImpl(const ModelConfig& config) {
  input_layernorm_ = register_module("input_layernorm", RmsNorm(config.hidden_size, config.rms_norm_eps));
  self_attn_ = register_module("self_attn", SelfAttention(config));
  post_attention_layernorm_ =
      register_module("post_attention_layernorm", RmsNorm(config.hidden_size, config.rms_norm_eps));
  mlp_ = register_module("mlp", FeedForward(config));
}

BlockWeights DecoderLayerImpl::weights() const {
  BlockWeights weights;
  weights.input_norm = input_layernorm_->weight();
  weights.post_norm = post_attention_layernorm_->weight();
  self_attn_->name_weights(weights);
  mlp_->name_weights(weights);
  return weights;
}

DecoderImpl::DecoderImpl(const ModelConfig& config)
    : config_((check(config), config)),
      always_dense_(static_cast<size_t>(config.num_hidden_layers), false),
      inverse_frequencies_(inverse_frequencies(config)) {
  for (const int64_t layer : config.full_attention_layers) always_dense_[static_cast<size_t>(layer)] = true;
  model_ = register_module("model", std::make_shared<torch::nn::Module>());
  embed_tokens_ = model_->register_module("embed_tokens", torch::nn::Embedding(config.vocab_size, config.hidden_size));
  layers_ = model_->register_module("layers", torch::nn::ModuleList());
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) layers_->push_back(DecoderLayer(config));
  norm_ = model_->register_module("norm", RmsNorm(config.hidden_size, config.rms_norm_eps));
  if (!config.tie_word_embeddings)
    lm_head_ = register_module("lm_head", make_linear(config.hidden_size, config.vocab_size));

  const torch::NoGradGuard no_grad;
  for (auto& parameter : parameters()) {
    if (parameter.dim() > 1) parameter.normal_(0.0, config.initializer_range);
  }
}

void DecoderImpl::set_attention(AttentionKind kind, const AttentionOptions& options) {
  kind_ = kind;
  options_ = options;
}

const AttentionOptions* DecoderImpl::layer_options(int64_t layer) const {
  const bool dense = kind_ == AttentionKind::kDense || always_dense_[static_cast<size_t>(layer)];
  return dense ? nullptr : &options_;
}

const RotaryTable& DecoderImpl::table_for(int64_t length, torch::Device device) {
  if (!table_.cos.defined() || table_.cos.size(0) != length || table_.cos.device() != device) {
    table_ = rotary_table(inverse_frequencies_, 0, length);
    table_ = {table_.cos.to(device), table_.sin.to(device)};
  }
  return table_;
}

torch::ScalarType DecoderImpl::compute_type() const {
  return compute_type_.value_or(embed_tokens_->weight.scalar_type());
}

const torch::Tensor& DecoderImpl::output_weight() const { return lm_head_ ? lm_head_->weight : embed_tokens_->weight; }

torch::Tensor DecoderImpl::hidden(const torch::Tensor& tokens) {
  torch::Tensor x;  // [B, N, C]
  {
    const PartScope scope("embedding", {});
    // On the CPU torch adds up the rows of a token's gradient in the table's type, where bfloat16 soon adds nothing
    // more; on CUDA it adds in float32, and the table in the type of computation needs the smaller result only.
    const torch::Tensor& table = embed_tokens_->weight;
    x = tokens.is_cpu() ? torch::embedding(table, tokens).to(compute_type())
                        : torch::embedding(table.to(compute_type()), tokens);
  }
  BlockSettings settings;
  settings.num_heads = config_.num_attention_heads;
  settings.num_kv_heads = config_.num_key_value_heads;
  settings.head_dim = config_.head_dim;
  settings.epsilon = config_.rms_norm_eps;
  settings.table = table_for(tokens.size(1), tokens.device());
  settings.recompute = recompute_;
  settings.inner_kernel = options_.inner_kernel;
  for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
    settings.options = layer_options(layer);
    if (observer_) {
      settings.observer = [this, layer](const auto& query, const auto& key) { observer_(layer, query, key); };
    }
    x = run_block(x, layers_->ptr<DecoderLayerImpl>(static_cast<size_t>(layer))->weights(), settings);
  }
  return norm_(x);
}

torch::Tensor DecoderImpl::logits(const torch::Tensor& hidden) {
  return torch::linear(hidden, output_weight().to(hidden.scalar_type()));
}

torch::Tensor DecoderImpl::loss(const torch::Tensor& tokens, const torch::Tensor& targets, int64_t parts) {
  return token_loss(hidden(tokens).flatten(0, 1), output_weight(), targets.flatten(), parts);
}

torch::Tensor DecoderImpl::losses(const torch::Tensor& tokens, const torch::Tensor& targets) {
  const torch::NoGradGuard no_grad;
  return token_losses(hidden(tokens).flatten(0, 1), output_weight(), targets.flatten()).view(targets.sizes());
}

int64_t num_parameters(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

}  // namespace lighthouse::model
