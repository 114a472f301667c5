// A file that is read by pieces from anywhere in it, and that may change between two readings.
#pragma once

#include <cstdint>
#include <filesystem>

namespace lighthouse::io {

/// What changes when a file does. Times are nanoseconds since 1970.
struct FileState {
  uint64_t size = 0;
  int64_t modified = 0;  ///< When the bytes were last written, as programs may set it.
  int64_t changed = 0;   ///< When anything of the file was last changed, by the system's own clock.
};

/// Pieces are copied, not mapped: a file that is cut short, or a disk that fails, is an error in words then, where a
/// mapping would end the process.
class PiecewiseFile {
 public:
  /// Throws std::runtime_error with the path and what is wrong: missing, a link that leads nowhere, not a regular file,
  /// unreadable.
  explicit PiecewiseFile(const std::filesystem::path& path);
  PiecewiseFile(const PiecewiseFile&) = delete;
  PiecewiseFile& operator=(const PiecewiseFile&) = delete;
  ~PiecewiseFile();

  const FileState& state() const { return state_; }
  /// Copies bytes [offset, offset + count) to `out`. Throws std::runtime_error where the file ends before. Holes of a
  /// sparse file are not read: their zeros would fill the system's cache.
  void read(uint64_t offset, uint64_t count, void* out) const;
  /// Throws std::runtime_error where the file is not what it was: cut short, grown or written to.
  void expect(const FileState& before) const;

 private:
  bool is_hole(uint64_t offset, uint64_t count) const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  FileState state_;
};

}  // namespace lighthouse::io
