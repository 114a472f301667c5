// Which models read text: those whose tokens are bytes.
#pragma once

#include <cstdint>
#include <string>

namespace lighthouse::train {

/// Bytes, each a token.
inline constexpr int64_t kByteTokens = 256;
/// A vocabulary of bytes may have room for special tokens and padding; beyond this it is one of other tokens.
inline constexpr int64_t kMostByteTokens = 512;

/// "the model's 320 tokens are not bytes"
inline std::string tokens_are_not_bytes(int64_t vocab_size) {
  return "the model's " + std::to_string(vocab_size) + " tokens are not bytes";
}

}  // namespace lighthouse::train
