// A model of Hugging Face's Llama family as a folder that this program trains from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "model/config.h"

namespace lighthouse::huggingface {

struct ImportReport {
  model::ModelConfig model;
  int64_t parameters = 0;
  int64_t max_position_embeddings = 0;
  std::vector<std::string> left_out;  ///< Tensors that the model does not need, and why.
  std::vector<std::string> carried;   ///< Files that came along, by name.
};

/// Writes `out`, whole or not at all: config.toml with the model's shape, model.safetensors with its tensors in the
/// types they have, and huggingface/ with its tokenizer and configuration. Throws std::runtime_error as
/// read_llama_config() and model::read_shards() do, and naming every tensor that is missing, unexpected, of another
/// shape, or of a type that is none of float32, bfloat16 and float16; std::invalid_argument where `out` holds anything.
ImportReport import_model(const std::filesystem::path& folder, const std::filesystem::path& out);

}  // namespace lighthouse::huggingface
