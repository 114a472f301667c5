// The tokenizer of models whose tokens are bytes, as files that transformers loads.
#pragma once

#include <filesystem>
#include <string>

#include "train/config.h"

namespace lighthouse::huggingface {

/// tokenizer.json in which token i is byte i: no normaliser, no special tokens, no merges. Text is encoded as UTF-8;
/// bytes that are none are decoded as U+FFFD.
std::string byte_tokenizer_json();

/// Whether a tokenizer.json is one of bytes: this vocabulary, no merges, no other tokens.
bool is_byte_tokenizer(const std::filesystem::path& path);

/// Whether a model's tokens are bytes, so that it reads text. Where it came with a tokenizer that one decides. Else the
/// vocabulary does, if it is one of 256, or data.format, if it says that the model's text or bytes are its tokens.
bool reads_bytes(const train::RunConfig& config, const std::filesystem::path& carried);

/// Throws std::invalid_argument "the model's 320 tokens are not bytes; WHAT_TO_DO" where they are not.
void expect_bytes(const train::RunConfig& config, const std::filesystem::path& carried, const std::string& what_to_do);

/// Whether the model came with a tokenizer whose tokens are not bytes.
bool has_other_tokenizer(const std::filesystem::path& carried);

/// tokenizer_config.json beside it.
std::string byte_tokenizer_config_json();

}  // namespace lighthouse::huggingface
