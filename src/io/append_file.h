// A file that grows by whole records.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace lighthouse::io {

/// Every call throws std::runtime_error with the path and the system's reason.
class AppendFile {
 public:
  /// Keeps the first `keep_bytes` bytes of what is there, cuts off the rest, and goes on after them; 0 starts anew.
  /// Throws std::runtime_error where the file is shorter than that.
  explicit AppendFile(const std::filesystem::path& path, uint64_t keep_bytes = 0);
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  ~AppendFile();

  /// The record is in the file whole, or, where that fails, not at all. It outlives a kill of this process at once, and
  /// a power cut after sync().
  void append(std::string_view record);
  void sync();
  uint64_t size() const { return size_; }

 private:
  std::filesystem::path path_;
  int descriptor_;
  uint64_t size_;
};

}  // namespace lighthouse::io
