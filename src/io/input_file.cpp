#include "io/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "io/system_error.h"

namespace lighthouse::io {
namespace {

/// Fewer bytes than asked for only where the file ends.
size_t read_some(int descriptor, void* data, size_t size, const std::filesystem::path& path) {
  auto* bytes = static_cast<char*>(data);
  size_t done = 0;
  while (done < size) {
    const ssize_t count = ::read(descriptor, bytes + done, size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_system("cannot read", path);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) : path_(path) {
  struct stat status {};
  // Asked before opening: to open a pipe is to wait for its writer.
  if (::stat(path.c_str(), &status) != 0) fail_system("cannot open", path_);
  if (!S_ISREG(status.st_mode)) throw std::runtime_error(path_.string() + " is not a regular file");
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail_system("cannot open", path_);
  if (::fstat(descriptor_, &status) != 0) {
    const int error = errno;
    ::close(descriptor_);
    fail_system("cannot read the size of", path_, error);
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

InputFile::~InputFile() { ::close(descriptor_); }

bool InputFile::read(void* data, size_t size) { return read_some(descriptor_, data, size, path_) == size; }

std::string read_file(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail_system("cannot read", path);
  std::string all;
  try {
    std::array<char, 1 << 16> piece;
    size_t count = 0;
    do {
      count = read_some(descriptor, piece.data(), piece.size(), path);
      all.append(piece.data(), count);
    } while (count == piece.size());
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  ::close(descriptor);
  return all;
}

std::string describe_pointer(std::string_view bytes) {
  if (!bytes.starts_with("version https://git-lfs.github.com/spec/")) return "";
  return " is a Git LFS pointer, a small text that stands for the file; fetch the file itself with git lfs pull, or "
         "download it";
}

}  // namespace lighthouse::io
