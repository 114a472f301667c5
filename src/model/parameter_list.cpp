#include "model/parameter_list.h"

#include <torch/types.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "model/decoder.h"

namespace lighthouse::model {
namespace {

std::string text_of(c10::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

}  // namespace

std::vector<std::pair<std::string, std::vector<int64_t>>> parameter_list(const ModelConfig& c) {
  const int64_t query = c.num_attention_heads * c.head_dim;
  const int64_t key = c.num_key_value_heads * c.head_dim;
  std::vector<std::pair<std::string, std::vector<int64_t>>> list;
  if (!c.tie_word_embeddings) list.push_back({"lm_head.weight", {c.vocab_size, c.hidden_size}});
  list.push_back({"model.embed_tokens.weight", {c.vocab_size, c.hidden_size}});
  for (int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    const std::string name = "model.layers." + std::to_string(layer) + ".";
    list.push_back({name + "input_layernorm.weight", {c.hidden_size}});
    list.push_back({name + "self_attn.q_proj.weight", {query, c.hidden_size}});
    list.push_back({name + "self_attn.k_proj.weight", {key, c.hidden_size}});
    list.push_back({name + "self_attn.v_proj.weight", {key, c.hidden_size}});
    list.push_back({name + "self_attn.o_proj.weight", {c.hidden_size, query}});
    list.push_back({name + "post_attention_layernorm.weight", {c.hidden_size}});
    list.push_back({name + "mlp.gate_proj.weight", {c.intermediate_size, c.hidden_size}});
    list.push_back({name + "mlp.up_proj.weight", {c.intermediate_size, c.hidden_size}});
    list.push_back({name + "mlp.down_proj.weight", {c.hidden_size, c.intermediate_size}});
  }
  list.push_back({"model.norm.weight", {c.hidden_size}});
  return list;
}

namespace {

/// One more than the number of the last layer that a tensor is of.
int64_t count_layers(const NamedTensors& tensors) {
  constexpr std::string_view kLayer = "model.layers.";
  int64_t count = 0;
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with(kLayer)) continue;
    int64_t layer = -1;
    std::from_chars(name.data() + kLayer.size(), name.data() + name.size(), layer);
    if (layer < std::numeric_limits<int64_t>::max()) count = std::max(count, layer + 1);
  }
  return count;
}

/// Before the names of that many layers are listed: a layer has tensors of its own.
void expect_layers(const NamedTensors& tensors, const ModelConfig& config, const std::string& source) {
  constexpr std::ptrdiff_t kListed = 100;  // so many may be missing one by one
  if (config.num_hidden_layers <= std::max(std::ssize(tensors), kListed)) return;
  throw std::runtime_error(source + " does not fit the model: num_hidden_layers is " +
                           std::to_string(config.num_hidden_layers) + "; there are tensors of " +
                           std::to_string(count_layers(tensors)) + " layers, " + std::to_string(tensors.size()) +
                           " in all");
}

}  // namespace

void expect_parameters(const NamedTensors& tensors, const ModelConfig& config, const std::string& source) {
  try {
    check(config);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(source + ": " + error.what());
  }
  expect_layers(tensors, config, source);
  std::map<std::string, torch::Tensor> left(tensors.begin(), tensors.end());
  std::string differences;
  for (const auto& [name, shape] : parameter_list(config)) {
    const auto found = left.find(name);
    if (found == left.end()) {
      differences += "\n  missing: " + name + " " + text_of(shape);
      continue;
    }
    if (found->second.sizes() != c10::IntArrayRef(shape)) {
      differences += "\n  " + name + ": expected " + text_of(shape) + ", got " + text_of(found->second.sizes());
    }
    left.erase(found);
  }
  for (const auto& [name, tensor] : left) differences += "\n  unexpected: " + name + " " + text_of(tensor.sizes());
  if (!differences.empty()) throw std::runtime_error(source + " does not fit the model:" + differences);
}

}  // namespace lighthouse::model
