// A model's shape as config.json of Hugging Face's Llama, in the forms of transformers 4 and 5.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "huggingface/special_tokens.h"
#include "model/config.h"

namespace lighthouse::huggingface {

/// The file's name in a model's folder.
inline constexpr const char* kLlamaConfigFile = "config.json";

struct LlamaConfig {
  model::ModelConfig model;
  int64_t max_position_embeddings = 2048;  ///< The longest context it was made for.
  SpecialTokens special_tokens;
};

/// Reads config.json of a LlamaForCausalLM, or of a MistralForCausalLM without a sliding window, which is the same
/// model. What keys say that are absent is what transformers takes then. Throws std::runtime_error naming the file, the
/// key and its value: where a key is missing or wrong, and where it asks for what the decoder does not compute (biases,
/// other activations, other rotary embeddings, sliding windows, quantised weights, other architectures).
LlamaConfig read_llama_config(const std::filesystem::path& path);

/// The text of config.json, with the keys of both versions: rope_theta and rope_scaling beside rope_parameters, and
/// torch_dtype beside dtype. `dtype` is "float32", "bfloat16", … Throws std::runtime_error naming the key for a model
/// that transformers' Llama refuses.
std::string to_config_json(const LlamaConfig& config, const std::string& dtype);

}  // namespace lighthouse::huggingface
