#include "inference/session.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>

#include "lighthouse/attention.h"
#include "model/parameter_list.h"
#include "ops/fused.h"

namespace lighthouse::inference {
namespace {

using torch::Tensor;

/// Rows of the feed-forward part that are computed at once: what stands between its products stays small beside a long
/// prompt.
constexpr int64_t kFeedForwardRows = 8192;

/// rows [N, I] times weight [O, I] transposed.
Tensor product(const Tensor& rows, const Tensor& weight) {
  return rows.size(0) == 1 ? ops::row_product(rows, weight) : torch::mm(rows, weight.t());
}

/// Takes weights by name, and forgets them, so that no more than one layer is in memory twice.
class Weights {
 public:
  Weights(model::NamedTensors tensors, const SessionOptions& options) : options_(options) {
    for (auto& [name, tensor] : tensors) tensors_[name] = std::move(tensor);
  }

  Tensor matrix(const std::string& name) { return take(name).to(options_.device, options_.type).contiguous(); }
  Tensor gain(const std::string& name) { return take(name).to(options_.device, torch::kFloat).contiguous(); }
  /// Some above each other.
  Tensor stack(const std::vector<std::string>& names) {
    std::vector<Tensor> parts;
    for (const auto& name : names) parts.push_back(matrix(name));
    return torch::cat(parts);
  }

 private:
  Tensor take(const std::string& name) {
    const auto found = tensors_.find(name);
    Tensor tensor = std::move(found->second);
    tensors_.erase(found);
    return tensor.detach();
  }

  std::map<std::string, Tensor> tensors_;
  SessionOptions options_;
};

}  // namespace

Session::Session(const model::ModelConfig& config, model::NamedTensors weights, const SessionOptions& options)
    : config_(config), capacity_(options.capacity) {
  if (options.capacity < 1) {
    throw std::invalid_argument("expected room for at least one token; got " + std::to_string(options.capacity));
  }
  model::expect_parameters(weights, config, "a set of weights");
  const torch::NoGradGuard no_grad;
  Weights source(std::move(weights), options);
  embedding_ = source.matrix("model.embed_tokens.weight");
  output_ = config.tie_word_embeddings ? embedding_ : source.matrix("lm_head.weight");
  norm_ = source.gain("model.norm.weight");
  const auto room = torch::TensorOptions().device(options.device).dtype(options.type);
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const std::string name = "model.layers." + std::to_string(i) + ".";
    const std::string attention = name + "self_attn.";
    Layer layer;
    layer.input_norm = source.gain(name + "input_layernorm.weight");
    layer.projection =
        source.stack({attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight"});
    layer.output = source.matrix(attention + "o_proj.weight");
    layer.post_norm = source.gain(name + "post_attention_layernorm.weight");
    layer.gate_up = source.stack({name + "mlp.gate_proj.weight", name + "mlp.up_proj.weight"});
    layer.down = source.matrix(name + "mlp.down_proj.weight");
    layer.keys = torch::empty({1, config.num_key_value_heads, capacity_, config.head_dim}, room);
    layer.values = torch::empty_like(layer.keys);
    layers_.push_back(std::move(layer));
  }
  table_ = model::rotary_table(model::inverse_frequencies(config), 0, capacity_);
  table_ = {table_.cos.to(options.device), table_.sin.to(options.device)};
}

/// projections [N, (H + 2 K) D] -> what the heads attend to, [N, H D], or [1, H D] of the last row alone. Keys and
/// values go where they stay.
Tensor Session::attend(const Layer& layer, const Tensor& projections, bool last_row_only) const {
  const int64_t rows = projections.size(0);
  const int64_t kv = config_.num_key_value_heads;
  const int64_t group = config_.num_attention_heads / kv;
  const Tensor heads = projections.view({1, rows, -1, config_.head_dim}).transpose(1, 2);  // [1, H + 2 K, N, D]
  const Tensor query = heads.narrow(1, 0, kv * group);
  const Tensor new_keys = layer.keys.narrow(2, length_, rows);
  ops::rotate_into(query, heads.narrow(1, kv * group, kv), table_.cos.narrow(0, length_, rows),
                   table_.sin.narrow(0, length_, rows), /*inverse=*/false, query, new_keys);
  layer.values.narrow(2, length_, rows).copy_(heads.narrow(1, kv * group + kv, kv));
  const Tensor keys = layer.keys.narrow(2, 0, length_ + rows);
  const Tensor values = layer.values.narrow(2, 0, length_ + rows);
  if (rows == 1 || last_row_only) return ops::token_attention(query.narrow(2, rows - 1, 1), keys, values);
  // A whole prompt: there is nothing before it.
  return dense_attention(query, keys, values).transpose(1, 2).reshape({rows, kv * group * config_.head_dim});
}

Tensor Session::feed_forward(const Layer& layer, const Tensor& rows) const {
  const auto part = [&](const Tensor& some) { return product(ops::swiglu(product(some, layer.gate_up)), layer.down); };
  if (rows.size(0) <= kFeedForwardRows) return part(rows);
  Tensor out = torch::empty_like(rows);
  for (int64_t begin = 0; begin < rows.size(0); begin += kFeedForwardRows) {
    const int64_t count = std::min(kFeedForwardRows, rows.size(0) - begin);
    out.narrow(0, begin, count).copy_(part(rows.narrow(0, begin, count)));
  }
  return out;
}

Tensor Session::append(const Tensor& tokens) {
  const int64_t rows = tokens.size(0);
  if (length_ > 0 && rows != 1) {
    throw std::invalid_argument("expected one token after the first ones; got " + std::to_string(rows));
  }
  if (rows < 1 || length_ + rows > capacity_) {
    throw std::invalid_argument("expected 1 to " + std::to_string(capacity_ - length_) +
                                " tokens, as many as there is room for; got " + std::to_string(rows));
  }
  const torch::NoGradGuard no_grad;
  Tensor sum = embedding_.index_select(0, tokens.to(device()));  // [N, C], what goes from layer to layer
  Tensor addend;                                                 // not yet added to it
  for (const Layer& layer : layers_) {
    const ops::Normalized before = ops::rms_norm(sum, addend, layer.input_norm, config_.rms_norm_eps);
    // Of the last layer only the last row is asked for, beside the keys and values of all.
    const bool is_last = &layer == &layers_.back();
    const Tensor attended = attend(layer, product(before.normal, layer.projection), is_last);
    const Tensor residual = is_last ? before.sum.narrow(0, rows - 1, 1) : before.sum;
    const ops::Normalized after =
        ops::rms_norm(residual, product(attended, layer.output), layer.post_norm, config_.rms_norm_eps);
    sum = after.sum;
    addend = feed_forward(layer, after.normal);
  }
  length_ += rows;
  const Tensor normal = ops::rms_norm(sum, addend, norm_, config_.rms_norm_eps).normal;
  return product(normal, output_).view({-1}).to(torch::kFloat);
}

}  // namespace lighthouse::inference
