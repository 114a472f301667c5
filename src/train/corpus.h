// Byte-level tokens from text files: what is read, how it is split, and in which order it comes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "train/config.h"

namespace lighthouse::train {

/// The bytes of all files, in a seeded order, cut into a training part and a held-out tail. Any bytes will do.
///
/// Throws std::runtime_error naming the path for files that are missing, unreadable or empty together, and for data too
/// small for one training and one held-out sequence.
class Corpus {
 public:
  Corpus(const DataConfig& config, uint64_t seed);

  int64_t num_files() const { return num_files_; }
  int64_t num_bytes() const { return static_cast<int64_t>(bytes_.size()); }
  int64_t training_sequences() const { return training_sequences_; }
  int64_t validation_sequences() const { return validation_sequences_; }

  /// context_length + 1 bytes: inputs are the first context_length, targets the last. The training order is a new
  /// shuffle every epoch, and a pure function of (seed, index), so a run can go on from any index.
  const uint8_t* training_sequence(int64_t index);
  /// Held-out sequence `index`, evenly spread over the held-out part; the same in every run of a seed.
  const uint8_t* validation_sequence(int64_t index, int64_t count) const;

 private:
  std::vector<uint8_t> bytes_;
  uint64_t seed_;
  int64_t num_files_ = 0;
  int64_t context_length_;
  int64_t training_sequences_ = 0;
  int64_t validation_sequences_ = 0;
  int64_t validation_begin_ = 0;
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;  // of the epoch
};

/// The files that config.paths name, sorted within each folder; include and exclude choose inside folders.
std::vector<std::filesystem::path> find_files(const DataConfig& config);

/// A shuffle of 0 … count - 1 that is the same on every machine and with every standard library.
std::vector<int64_t> seeded_permutation(int64_t count, uint64_t seed, uint64_t stream);

}  // namespace lighthouse::train
