// The tokenizer of models whose tokens are bytes, as files that transformers loads.
#pragma once

#include <filesystem>
#include <string>

namespace lighthouse::huggingface {

/// tokenizer.json in which token i is byte i: no normaliser, no special tokens, no merges. Text is encoded as UTF-8;
/// bytes that are none are decoded as U+FFFD.
std::string byte_tokenizer_json();

/// Whether a tokenizer.json is one of bytes: this vocabulary, no merges, no other tokens.
bool is_byte_tokenizer(const std::filesystem::path& path);

/// tokenizer_config.json beside it.
std::string byte_tokenizer_config_json();

}  // namespace lighthouse::huggingface
