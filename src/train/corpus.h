// The tokens of all data files: how they are split, and in which order sequences come.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "train/config.h"
#include "train/data_files.h"
#include "train/data_record.h"
#include "train/token_source.h"

namespace lighthouse::train {

/// Data that cannot be read any more: files that are gone, changed or broken since the start.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The tokens of all files, one after the other in a seeded order, cut into a training part and a held-out tail.
///
/// Throws std::runtime_error naming the path for files that are missing, unreadable, broken or of another kind, for
/// files that are named and empty, for text where the vocabulary is not one of bytes, and for data too small for one
/// training and one held-out sequence.
class Corpus {
 public:
  /// Tokens must be below `vocab_size`; they are checked as they are read. `run_folders` are no data (data_files.h).
  Corpus(const DataConfig& config, uint64_t seed, int64_t vocab_size,
         const std::vector<std::filesystem::path>& run_folders = {});

  int64_t num_files() const { return static_cast<int64_t>(sources_.size()); }
  int64_t num_tokens() const { return begins_.back(); }
  uint64_t num_bytes() const;
  int64_t training_sequences() const { return training_sequences_; }
  int64_t validation_sequences() const { return validation_sequences_; }
  /// How the files store their tokens: "uint16", or "3 of text, 1 of uint16".
  std::string formats() const;
  /// A file whose tokens are bytes, if any is.
  const TokenSource* text() const;
  bool is_all_text() const;
  /// What a user may not expect of this data, a line each.
  const std::vector<std::string>& notes() const { return notes_; }

  /// Hears of what the functions below read.
  void on_reading(ReadingWatch watch) { watch_ = std::move(watch); }
  /// Of the files' order, sizes and bytes. Reads all of them the first time.
  uint64_t fingerprint();
  /// The fingerprint, with the times that let later comparisons do without the bytes, and how much it is.
  DataRecord record();
  /// Whether this is the data of the record. Data of up to `always` bytes is read. Of more, sizes and times of change
  /// stand for the bytes while they are the record's; all bytes are read where they are not. Records of older releases
  /// have no times: theirs are samples of every file above 4 GiB.
  bool matches(const DataRecord& record, uint64_t always = uint64_t{1} << 30);
  /// What can be said of data that does not match: "3 files, 8400 tokens before; 4 files, 9000 tokens now".
  std::string difference_from(const DataRecord& record) const;

  /// Writes context_length + 1 tokens to `out`: inputs are the first context_length, targets the last. The order is a
  /// new shuffle every epoch, and a pure function of (seed, index), so a run can go on from any index. Throws DataError
  /// where a file changed since the start, or holds a token that is not below vocab_size.
  void read_training_sequence(int64_t index, int64_t* out);
  /// The same for held-out sequence `index` of `count`, evenly spread over the held-out part; the same in every run of
  /// a seed.
  void read_validation_sequence(int64_t index, int64_t count, int64_t* out) const;

 private:
  void open(const DataConfig& config, const std::vector<std::filesystem::path>& files);
  void expect_bytes(const DataConfig& config, int64_t vocab_size);
  void split(const DataConfig& config);
  void take_notes();
  void read(int64_t begin, int64_t* out) const;
  uint64_t checksum(bool all_bytes) const;
  uint64_t times() const;
  std::string size_text() const;

  std::vector<TokenSource> sources_;  // in the seeded order
  std::vector<int64_t> begins_;       // the first token of each source, and the end
  uint64_t seed_;
  int64_t vocab_size_;
  int64_t context_length_;
  int64_t training_sequences_ = 0;
  int64_t validation_sequences_ = 0;
  int64_t validation_begin_ = 0;
  std::vector<std::string> notes_;
  ReadingWatch watch_;
  std::optional<uint64_t> fingerprint_;
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;  // of the epoch
};

/// A shuffle of 0 … count - 1 that is the same on every machine and with every standard library.
std::vector<int64_t> seeded_permutation(int64_t count, uint64_t seed, uint64_t stream);

}  // namespace lighthouse::train
