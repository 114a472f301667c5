// Files that are read from their beginning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace lighthouse::io {

class InputFile {
 public:
  /// Throws SystemError with the path and reason, std::runtime_error where it is not a regular file.
  explicit InputFile(const std::filesystem::path& path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  uint64_t size() const { return size_; }
  /// The next bytes. False where the file ends before; throws SystemError where the system cannot read them.
  bool read(void* data, size_t size);

 private:
  std::filesystem::path path_;
  int descriptor_;
  uint64_t size_ = 0;
};

/// All bytes of a file, or of a pipe until its end. Throws SystemError with the path and reason.
std::string read_file(const std::filesystem::path& path);

/// Where bytes begin as Git LFS's stand-ins for files do: " is a Git LFS pointer, not the file itself; …" with what to
/// do about it. Empty otherwise.
std::string describe_pointer(std::string_view bytes);

}  // namespace lighthouse::io
