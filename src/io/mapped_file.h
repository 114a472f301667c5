// A file's bytes as memory, read by the system as they are touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>

namespace lighthouse::io {

class MappedFile {
 public:
  /// Maps the whole file for reading. Throws std::runtime_error with the path and what is wrong: missing, unreadable,
  /// not a regular file. An empty file has size() == 0 and no bytes.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  MappedFile(const MappedFile&) = delete;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  const uint8_t* bytes() const { return bytes_; }
  uint64_t size() const { return size_; }

  /// Throws std::runtime_error if the file was written to or cut short since it was mapped. Asked before every use:
  /// other bytes would train another run unnoticed, and touching bytes that are gone kills the process.
  void expect_unchanged() const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  timespec modified_{};
  const uint8_t* bytes_ = nullptr;
};

}  // namespace lighthouse::io
