#include "model/decoder.h"

#include <torch/torch.h>

#include <stdexcept>
#include <string>

#include "lighthouse/rotary.h"

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

torch::Tensor RmsNormImpl::forward(const torch::Tensor& x) {
  const torch::Tensor wide = x.to(torch::kFloat);
  const torch::Tensor inverse_rms = torch::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + epsilon_);
  return weight_ * (wide * inverse_rms).to(x.scalar_type());
}

SelfAttentionImpl::SelfAttentionImpl(const ModelConfig& config)
    : num_heads_(config.num_attention_heads), num_kv_heads_(config.num_key_value_heads), head_dim_(config.head_dim) {
  q_proj_ = register_module("q_proj", make_linear(config.hidden_size, num_heads_ * head_dim_));
  k_proj_ = register_module("k_proj", make_linear(config.hidden_size, num_kv_heads_ * head_dim_));
  v_proj_ = register_module("v_proj", make_linear(config.hidden_size, num_kv_heads_ * head_dim_));
  o_proj_ = register_module("o_proj", make_linear(num_heads_ * head_dim_, config.hidden_size));
}

SelfAttentionImpl::Heads SelfAttentionImpl::project(const torch::Tensor& x, const RotaryTable& table,
                                                    const AttentionOptions* options) {
  const auto split = [&](const torch::Tensor& rows, int64_t heads) {  // [B, N, heads * D] -> [B, N, heads, D]
    return rows.view({rows.size(0), rows.size(1), heads, head_dim_});
  };
  // Views: rotation and attention take any strides.
  const torch::Tensor query = split(q_proj_(x), num_heads_).transpose(1, 2);
  const torch::Tensor key = split(k_proj_(x), num_kv_heads_).transpose(1, 2);
  const torch::Tensor value = split(v_proj_(x), num_kv_heads_).transpose(1, 2);
  if (options == nullptr || options->scores) {
    const auto [rotated_query, rotated_key] = rotary(query, key, table.cos, table.sin);
    return {rotated_query, rotated_key, value, std::nullopt};
  }
  const Rotated rotated = rotary_score(query, key, table.cos, table.sin, *options);
  return {rotated.query, rotated.key, value, rotated.scores};
}

torch::Tensor SelfAttentionImpl::merge(const torch::Tensor& heads) {
  return o_proj_(heads.transpose(1, 2).reshape({heads.size(0), heads.size(2), num_heads_ * head_dim_}));
}

torch::Tensor SelfAttentionImpl::forward(const torch::Tensor& x, const RotaryTable& table,
                                         const AttentionOptions* options) {
  const Heads heads = project(x, table, options);
  if (observer_) observer_(heads.query, heads.key);
  if (options == nullptr) return merge(dense_attention(heads.query, heads.key, heads.value));
  AttentionOptions scored = *options;
  scored.window_scores = heads.scores;
  return merge(attention(heads.query, heads.key, heads.value, scored));
}

torch::Tensor SelfAttentionImpl::forward_cached(const torch::Tensor& x, const RotaryTable& table, torch::Tensor& key,
                                                torch::Tensor& value) {
  const Heads heads = project(x, table, nullptr);
  if (!key.defined()) {
    key = heads.key;
    value = heads.value;
    return merge(dense_attention(heads.query, key, value));
  }
  key = torch::cat({key, heads.key}, 2);
  value = torch::cat({value, heads.value}, 2);
  return merge(torch::scaled_dot_product_attention(heads.query, key, value, {}, 0.0, /*is_causal=*/false, std::nullopt,
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

DecoderLayerImpl::DecoderLayerImpl(const ModelConfig& config) {
  input_layernorm_ = register_module("input_layernorm", RmsNorm(config.hidden_size, config.rms_norm_eps));
  self_attn_ = register_module("self_attn", SelfAttention(config));
  post_attention_layernorm_ =
      register_module("post_attention_layernorm", RmsNorm(config.hidden_size, config.rms_norm_eps));
  mlp_ = register_module("mlp", FeedForward(config));
}

torch::Tensor DecoderLayerImpl::forward(const torch::Tensor& x, const RotaryTable& table,
                                        const AttentionOptions* options) {
  const torch::Tensor attended = x + self_attn_->forward(input_layernorm_(x), table, options);
  return attended + mlp_(post_attention_layernorm_(attended));
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

void DecoderImpl::set_attention_observer(const AttentionObserver& observer) {
  for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
    SelfAttentionImpl::Observer of_layer;
    if (observer) of_layer = [observer, layer](const auto& query, const auto& key) { observer(layer, query, key); };
    layers_->ptr<DecoderLayerImpl>(static_cast<size_t>(layer))->attention().set_observer(std::move(of_layer));
  }
}

const AttentionOptions* DecoderImpl::layer_options(int64_t layer) const {
  const bool dense = kind_ == AttentionKind::kDense || always_dense_[static_cast<size_t>(layer)];
  return dense ? nullptr : &options_;
}

const RotaryTable& DecoderImpl::table_for(int64_t length) {
  if (!table_.cos.defined() || table_.cos.size(0) != length) table_ = rotary_table(inverse_frequencies_, 0, length);
  return table_;
}

torch::Tensor DecoderImpl::hidden_to_logits(const torch::Tensor& hidden) {
  const torch::Tensor normal = norm_(hidden);
  return lm_head_ ? lm_head_(normal) : torch::linear(normal, embed_tokens_->weight);
}

torch::Tensor DecoderImpl::forward(const torch::Tensor& tokens) {
  const RotaryTable& table = table_for(tokens.size(1));
  torch::Tensor hidden = embed_tokens_(tokens);  // [B, N, C]
  for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
    hidden = layers_->ptr<DecoderLayerImpl>(static_cast<size_t>(layer))->forward(hidden, table, layer_options(layer));
  }
  return hidden_to_logits(hidden);
}

torch::Tensor DecoderImpl::loss(const torch::Tensor& tokens, const torch::Tensor& targets) {
  const torch::Tensor logits = forward(tokens).to(torch::kFloat);
  return torch::cross_entropy_loss(logits.flatten(0, 1), targets.flatten());
}

torch::Tensor DecoderImpl::next_logits(const torch::Tensor& tokens, KeyValueCache& cache) {
  const int64_t seen = cache.length();
  if (seen > 0 && tokens.size(1) != 1) {
    throw std::invalid_argument("model: expected one token after a filled cache; got " +
                                std::to_string(tokens.size(1)));
  }
  cache.keys.resize(static_cast<size_t>(config_.num_hidden_layers));
  cache.values.resize(static_cast<size_t>(config_.num_hidden_layers));
  const RotaryTable table = rotary_table(inverse_frequencies_, seen, tokens.size(1));
  torch::Tensor hidden = embed_tokens_(tokens);
  for (size_t layer = 0; layer < cache.keys.size(); ++layer) {
    hidden =
        layers_->ptr<DecoderLayerImpl>(layer)->forward_cached(hidden, table, cache.keys[layer], cache.values[layer]);
  }
  return hidden_to_logits(hidden.slice(1, -1)).squeeze(1);
}

int64_t num_parameters(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

}  // namespace lighthouse::model
