// One file of training data as a run of tokens: text, whose bytes are tokens, or a file of token numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/checksum.h"
#include "io/piecewise_file.h"
#include "train/config.h"
#include "train/file_sample.h"
#include "train/token_type.h"

namespace lighthouse::train {

/// Nothing of the file stays open: each read opens it anew, so that any number of files can be read from.
class TokenSource {
 public:
  /// Formats: text (any bytes that are of no other known kind), bytes (any at all), nanoGPT's headerless little-endian
  /// uint16 and its uint32 sibling, llm.c's files with a header of 256 int32, Megatron's .bin with its .idx beside it.
  /// kAuto takes names that end in .bin as token files: Megatron's where there is an .idx, llm.c's where the first
  /// number says so, else numbers alone, as wide as a vocabulary of that size needs. Throws std::runtime_error naming
  /// the file: missing, unreadable, not a regular file, of a size that holds no whole number of tokens, or with a
  /// header or an index that does not fit the file. Samples of the file are read: where they say that it is of another
  /// kind it throws OtherFormat, and where they hold tokens that the vocabulary does not have std::runtime_error.
  TokenSource(const std::filesystem::path& path, DataFormat format, int64_t vocab_size);

  int64_t num_tokens() const { return num_tokens_; }
  const std::filesystem::path& path() const { return path_; }
  /// Whether tokens are the file's bytes as they stand.
  bool is_text() const { return format_ == DataFormat::kText || format_ == DataFormat::kBytes; }
  /// "text", "uint32", "llm.c's uint16"
  std::string format_name() const;
  /// What a user may not expect of a text: "begins with a byte-order mark"; empty for most.
  const std::string& remark() const { return remark_; }

  /// Keeps the bytes in memory from now on.
  void keep();
  /// Copies tokens [begin, begin + count) to `out`. Throws std::runtime_error, naming file and place, for a token that
  /// is negative or not in the vocabulary, and for a file that changed since it was opened.
  void read(int64_t begin, int64_t count, int64_t* out) const;

  uint64_t num_bytes() const { return state_.size; }
  const io::FileState& state() const { return state_; }
  /// Adds to `checksum` what tells this file from another: its size and its bytes, all of them or some of every part.
  /// `on_bytes` hears how many bytes more were read.
  void add_to(io::Checksum& checksum, bool all_bytes, const std::function<void(uint64_t)>& on_bytes = {}) const;

 private:
  void read_format(const FileSample& sample, DataFormat format);
  DataFormat found_format(const FileSample& sample) const;
  void read_llm_c_header(const FileSample& sample);
  void read_bytes(uint64_t offset, uint64_t count, void* out) const;

  std::filesystem::path path_;
  io::FileState state_;
  std::optional<std::vector<uint8_t>> memory_;
  DataFormat format_ = DataFormat::kText;
  uint64_t header_ = 0;
  TokenType type_ = TokenType::kUint8;
  int64_t num_tokens_ = 0;
  int64_t vocab_size_ = 0;
  std::string remark_;
};

}  // namespace lighthouse::train
