// The numbers of a vocabulary's special tokens, as configurations name them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "huggingface/json_keys.h"

namespace lighthouse::huggingface {

struct SpecialTokens {
  std::optional<int64_t> begin;
  std::optional<int64_t> padding;
  std::vector<int64_t> end;  ///< Any of them ends a text.
};

/// What transformers' Llama and Mistral take where config.json has no such key. Null says that there is none.
inline const SpecialTokens kLlamasTokens{1, std::nullopt, {2}};

/// bos_token_id, eos_token_id (a number or a list) and pad_token_id; those of `absent` where a key is not there.
SpecialTokens read_special_tokens(const JsonKeys& keys, const SpecialTokens& absent = {});
void write_special_tokens(const SpecialTokens& tokens, Json& object);

/// What ends a text, by the files that came with a model: generation_config.json where it says so, else config.json,
/// and where that does not either and there is no generation_config.json, what transformers takes. Empty where `folder`
/// is.
std::vector<int64_t> end_tokens(const std::filesystem::path& folder);

}  // namespace lighthouse::huggingface
