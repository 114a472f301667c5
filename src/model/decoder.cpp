#include "model/decoder.h"

#include <torch/torch.h>

#include <stdexcept>
#include <string>

#include "lighthouse/rotary.h"
#include "model/parts.h"
#include "model/token_loss.h"

namespace lighthouse::model {
namespace {

torch::nn::Linear make_linear(int64_t in, int64_t out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
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

SelfAttentionImpl::SelfAttentionImpl(const ModelConfig& config)
    : num_heads_(config.num_attention_heads), num_kv_heads_(config.num_key_value_heads), head_dim_(config.head_dim) {
  q_proj_ = register_module("q_proj", make_linear(config.hidden_size, num_heads_ * head_dim_));
  k_proj_ = register_module("k_proj", make_linear(config.hidden_size, num_kv_heads_ * head_dim_));
  v_proj_ = register_module("v_proj", make_linear(config.hidden_size, num_kv_heads_ * head_dim_));
  o_proj_ = register_module("o_proj", make_linear(num_heads_ * head_dim_, config.hidden_size));
}

void SelfAttentionImpl::name_weights(BlockWeights& weights) const {
  weights.query = q_proj_->weight;
  weights.key = k_proj_->weight;
  weights.value = v_proj_->weight;
  weights.output = o_proj_->weight;
}

torch::Tensor SelfAttentionImpl::forward_cached(const torch::Tensor& x, const RotaryTable& table, torch::Tensor& key,
                                                torch::Tensor& value) {
  const auto split = [&](const torch::Tensor& rows, int64_t heads) {  // [B, N, heads * D] -> [B, heads, N, D]
    return rows.view({rows.size(0), rows.size(1), heads, head_dim_}).transpose(1, 2);
  };
  const auto merge = [&](const torch::Tensor& heads) {
    return o_proj_(heads.transpose(1, 2).reshape({heads.size(0), heads.size(2), num_heads_ * head_dim_}));
  };
  const auto [query, new_key] =
      rotary(split(q_proj_(x), num_heads_), split(k_proj_(x), num_kv_heads_), table.cos, table.sin);
  const torch::Tensor new_value = split(v_proj_(x), num_kv_heads_);
  if (!key.defined()) {
    key = new_key;
    value = new_value;
    return merge(dense_attention(query, key, value));
  }
  key = torch::cat({key, new_key}, 2);
  value = torch::cat({value, new_value}, 2);
  return merge(torch::scaled_dot_product_attention(query, key, value, {}, 0.0, /*is_causal=*/false, std::nullopt,
                                                   /*enable_gqa=*/num_heads_ != num_kv_heads_));
}

FeedForwardImpl::FeedForwardImpl(const ModelConfig& config) {
  gate_proj_ = register_module("gate_proj", make_linear(config.hidden_size, config.intermediate_size));
  up_proj_ = register_module("up_proj", make_linear(config.hidden_size, config.intermediate_size));
  down_proj_ = register_module("down_proj", make_linear(config.intermediate_size, config.hidden_size));
}

torch::Tensor FeedForwardImpl::forward(const torch::Tensor& x) {
  return down_proj_(torch::silu(gate_proj_(x)) * up_proj_(x));
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

torch::Tensor DecoderLayerImpl::forward_cached(const torch::Tensor& x, const RotaryTable& table, torch::Tensor& key,
                                               torch::Tensor& value) {
  const torch::Tensor attended = x + self_attn_->forward_cached(input_layernorm_(x), table, key, value);
  return attended + mlp_(post_attention_layernorm_(attended));
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
    x = torch::embedding(embed_tokens_->weight.to(compute_type()), tokens);
  }
  BlockSettings settings;
  settings.num_heads = config_.num_attention_heads;
  settings.num_kv_heads = config_.num_key_value_heads;
  settings.head_dim = config_.head_dim;
  settings.epsilon = config_.rms_norm_eps;
  settings.table = table_for(tokens.size(1), tokens.device());
  settings.recompute = recompute_;
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

torch::Tensor DecoderImpl::loss(const torch::Tensor& tokens, const torch::Tensor& targets) {
  return token_loss(hidden(tokens).flatten(0, 1), output_weight(), targets.flatten());
}

torch::Tensor DecoderImpl::losses(const torch::Tensor& tokens, const torch::Tensor& targets) {
  const torch::NoGradGuard no_grad;
  return token_losses(hidden(tokens).flatten(0, 1), output_weight(), targets.flatten()).view(targets.sizes());
}

torch::Tensor DecoderImpl::next_logits(const torch::Tensor& tokens, KeyValueCache& cache) {
  const int64_t seen = cache.length();
  if (seen > 0 && tokens.size(1) != 1) {
    throw std::invalid_argument("model: expected one token after a filled cache; got " +
                                std::to_string(tokens.size(1)));
  }
  cache.keys.resize(static_cast<size_t>(config_.num_hidden_layers));
  cache.values.resize(static_cast<size_t>(config_.num_hidden_layers));
  RotaryTable table = rotary_table(inverse_frequencies_, seen, tokens.size(1));
  table = {table.cos.to(tokens.device()), table.sin.to(tokens.device())};
  torch::Tensor hidden = embed_tokens_(tokens);
  for (size_t layer = 0; layer < cache.keys.size(); ++layer) {
    hidden =
        layers_->ptr<DecoderLayerImpl>(layer)->forward_cached(hidden, table, cache.keys[layer], cache.values[layer]);
  }
  return logits(norm_(hidden.slice(1, -1))).squeeze(1);
}

int64_t num_parameters(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

}  // namespace lighthouse::model
