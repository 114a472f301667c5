#include "train/file_sample.h"

#include <algorithm>
#include <cstring>

namespace lighthouse::train {
namespace {

constexpr uint64_t kHead = 8 << 10;
constexpr uint64_t kPiece = 4 << 10;
constexpr uint64_t kPieces = 4;

FileSample::Piece read_piece(const io::PiecewiseFile& file, uint64_t offset, uint64_t count) {
  FileSample::Piece piece{offset, std::string(static_cast<size_t>(count), '\0')};
  file.read(offset, count, piece.bytes.data());
  return piece;
}

}  // namespace

std::string FileSample::tail(size_t count) const {
  const std::string& last = pieces.back().bytes;
  return last.substr(last.size() - std::min(count, last.size()));
}

template <typename T>
T FileSample::number(size_t index) const {
  T value = 0;
  if ((index + 1) * sizeof(T) <= head().size()) std::memcpy(&value, head().data() + index * sizeof(T), sizeof(T));
  return value;
}

template int32_t FileSample::number<int32_t>(size_t) const;
template uint32_t FileSample::number<uint32_t>(size_t) const;
template uint64_t FileSample::number<uint64_t>(size_t) const;

FileSample take_sample(const io::PiecewiseFile& file) {
  FileSample sample{file.state().size, {}};
  if (sample.size <= kHead + kPiece * kPieces) {
    sample.pieces.push_back(read_piece(file, 0, sample.size));
    return sample;
  }
  sample.pieces.push_back(read_piece(file, 0, kHead));
  for (uint64_t i = 1; i <= kPieces; ++i) {
    const uint64_t begin = (sample.size - kPiece) / kPieces * i / 8 * 8;
    sample.pieces.push_back(read_piece(file, begin, i == kPieces ? sample.size - begin : kPiece));
  }
  return sample;
}

FileSample take_sample(std::string bytes) {
  const uint64_t size = bytes.size();
  return {size, {{0, std::move(bytes)}}};
}

}  // namespace lighthouse::train
