// The tokens of all data files: which files, how they are split, and in which order sequences come.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/config.h"
#include "train/token_source.h"

namespace lighthouse::train {

/// The tokens of all files, one after the other in a seeded order, cut into a training part and a held-out tail.
///
/// Throws std::runtime_error naming the path for files that are missing, unreadable or broken, for files that are named
/// and empty, and for data too small for one training and one held-out sequence.
class Corpus {
 public:
  /// Tokens must be below `vocab_size`; they are checked as they are read.
  Corpus(const DataConfig& config, uint64_t seed, int64_t vocab_size);

  int64_t num_files() const { return static_cast<int64_t>(sources_.size()); }
  int64_t num_tokens() const { return begins_.back(); }
  int64_t training_sequences() const { return training_sequences_; }
  int64_t validation_sequences() const { return validation_sequences_; }
  /// Tells this data from other data: of the files' order, sizes and bytes. Of data above 4 GiB, samples of every file
  /// stand for the bytes. Reads them the first time.
  uint64_t fingerprint();

  /// Writes context_length + 1 tokens to `out`: inputs are the first context_length, targets the last. The order is a
  /// new shuffle every epoch, and a pure function of (seed, index), so a run can go on from any index. Throws
  /// std::runtime_error where a file changed since the start, or holds a token that is not below vocab_size.
  void read_training_sequence(int64_t index, int64_t* out);
  /// The same for held-out sequence `index` of `count`, evenly spread over the held-out part; the same in every run of
  /// a seed.
  void read_validation_sequence(int64_t index, int64_t count, int64_t* out) const;

 private:
  void read(int64_t begin, int64_t* out) const;

  std::vector<TokenSource> sources_;  // in the seeded order
  std::vector<int64_t> begins_;       // the first token of each source, and the end
  uint64_t seed_;
  int64_t vocab_size_;
  int64_t context_length_;
  int64_t training_sequences_ = 0;
  int64_t validation_sequences_ = 0;
  int64_t validation_begin_ = 0;
  std::optional<uint64_t> fingerprint_;
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;  // of the epoch
};

/// The files that config.paths name, sorted within each folder; include and exclude choose inside folders.
std::vector<std::filesystem::path> find_files(const DataConfig& config);

/// A shuffle of 0 … count - 1 that is the same on every machine and with every standard library.
std::vector<int64_t> seeded_permutation(int64_t count, uint64_t seed, uint64_t stream);

}  // namespace lighthouse::train
