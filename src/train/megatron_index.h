// The .idx file beside a Megatron .bin: which numbers the .bin holds, and where sequences and documents begin.
#pragma once

#include <cstdint>
#include <filesystem>

#include "train/token_type.h"

namespace lighthouse::train {

/// The index of a .bin file: the same name with .idx.
std::filesystem::path megatron_index_of(const std::filesystem::path& tokens);

/// Reads an index of version 1: magic "MMIDIDX", version, type of a token, counts of sequences and of documents'
/// bounds; then each sequence's length (int32), its byte in the .bin (int64), and the bounds (int64, in sequences).
/// Sequences must follow each other without gaps and fill the .bin's `bytes`, so that its tokens are one run. Returns
/// their type. Throws std::runtime_error naming the file and what does not fit.
TokenType check_megatron_index(const std::filesystem::path& index, const std::filesystem::path& tokens, uint64_t bytes);

}  // namespace lighthouse::train
