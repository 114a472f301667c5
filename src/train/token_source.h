// One file of training data as a run of tokens: text, whose bytes are tokens, or a file of token numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "io/checksum.h"
#include "io/mapped_file.h"
#include "train/config.h"

namespace lighthouse::train {

/// How a file stores its tokens.
enum class TokenType { kUint8, kUint16, kUint32, kInt16, kInt32, kInt64 };

/// Bytes of a token.
uint64_t size_of(TokenType type);

/// Small files are read into memory at once, since a process may map some tens of thousands only; larger ones are
/// mapped and read as they are used.
class TokenSource {
 public:
  /// Formats: text (any bytes), nanoGPT's headerless little-endian uint16 and its uint32 sibling, llm.c's files with a
  /// header of 256 int32, Megatron's .bin with its .idx beside it. kAuto takes names that end in .bin as token files:
  /// Megatron's where there is an .idx, llm.c's where the first number says so. Throws std::runtime_error naming the
  /// file: missing, unreadable, not a regular file, of a size that holds no whole number of tokens, or with a header or
  /// an index that does not fit the file.
  TokenSource(const std::filesystem::path& path, DataFormat format);

  int64_t num_tokens() const { return num_tokens_; }
  const std::filesystem::path& path() const { return path_; }

  /// Copies tokens [begin, begin + count) to `out`. Throws std::runtime_error, naming file and place, for a token that
  /// is negative or not below `vocab_size`, and for a file that changed since it was opened.
  void read(int64_t begin, int64_t count, int64_t vocab_size, int64_t* out) const;

  uint64_t num_bytes() const { return size_; }
  /// Adds to `checksum` what tells this file from another: its size and its bytes, all of them or some of every part.
  void add_to(io::Checksum& checksum, bool all_bytes) const;

 private:
  DataFormat found_format() const;
  void read_llm_c_header();
  const uint8_t* bytes() const { return mapped_.empty() ? memory_.data() : mapped_.front().bytes(); }

  std::filesystem::path path_;
  std::vector<io::MappedFile> mapped_;  // one, or none where the bytes are in memory_
  std::vector<uint8_t> memory_;
  uint64_t size_ = 0;
  uint64_t header_ = 0;
  TokenType type_ = TokenType::kUint8;
  int64_t num_tokens_ = 0;
};

}  // namespace lighthouse::train
