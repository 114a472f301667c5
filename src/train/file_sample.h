// A few pieces of a file: enough to tell what it holds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/piecewise_file.h"

namespace lighthouse::train {

struct FileSample {
  struct Piece {
    uint64_t offset = 0;  ///< A multiple of 8.
    std::string bytes;
  };

  uint64_t size = 0;          ///< Of the file.
  std::vector<Piece> pieces;  ///< The first begins at byte 0, the last ends the file; a small file is one whole piece.

  const std::string& head() const { return pieces.front().bytes; }
  /// The last `count` bytes, or what there is.
  std::string tail(size_t count) const;
  /// Number `index` of the file's start, little-endian; 0 where the head does not have it.
  template <typename T>
  T number(size_t index) const;
};

FileSample take_sample(const io::PiecewiseFile& file);
/// Of bytes that are in memory.
FileSample take_sample(std::string bytes);

}  // namespace lighthouse::train
