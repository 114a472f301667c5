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

/// bos_token_id, eos_token_id (a number or a list) and pad_token_id.
SpecialTokens read_special_tokens(const JsonKeys& keys);
void write_special_tokens(const SpecialTokens& tokens, Json& object);

/// What ends a text, by the files that came with a model: generation_config.json where it says so, else config.json.
/// Empty where `folder` is.
std::vector<int64_t> end_tokens(const std::filesystem::path& folder);

}  // namespace lighthouse::huggingface
