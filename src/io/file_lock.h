// One process at a time.
#pragma once

#include <filesystem>

namespace lighthouse::io {

/// Holds a lock for as long as it lives. The system frees the locks of a process that ends, however it ends.
class FileLock {
 public:
  /// Throws std::runtime_error where another process holds the lock, or the file cannot be made. `what` is what the
  /// lock is of, for the message: by default the file's folder.
  explicit FileLock(const std::filesystem::path& path, const std::filesystem::path& what = {});
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  int descriptor_;
};

}  // namespace lighthouse::io
