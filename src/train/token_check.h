// Whether a file's numbers can be the tokens that its reader takes them for, by samples.
#pragma once

#include <cstdint>
#include <filesystem>

#include "train/file_sample.h"
#include "train/token_type.h"

namespace lighthouse::train {

struct TokenLayout {
  TokenType type = TokenType::kUint16;
  uint64_t header = 0;         ///< Bytes before the first token.
  bool says_its_type = false;  ///< By a header or an index; otherwise the type is the configuration's, or a guess.
  bool guessed = false;        ///< By the vocabulary, under data.format = "auto".
};

/// Throws std::runtime_error naming the file, the place and what the numbers look like: those of another width or byte
/// order, text, or tokens that the vocabulary does not have.
void expect_tokens(const std::filesystem::path& path, const FileSample& sample, const TokenLayout& layout,
                   int64_t vocab_size);

/// "PATH: token 7 is 300; expected one from 0 to below model.vocab_size, 256"
std::string beyond_vocabulary(const std::filesystem::path& path, uint64_t place, int64_t token, int64_t vocab_size);

}  // namespace lighthouse::train
