#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "io/system_error.h"

namespace lighthouse::io {

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  struct stat status {};
  // Asked before opening: to open a pipe is to wait for its writer.
  if (::stat(path.c_str(), &status) != 0) fail_system("cannot open", path_);
  if (!S_ISREG(status.st_mode)) throw std::runtime_error(path_.string() + " is not a regular file");
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail_system("cannot open", path_);
  void* bytes = nullptr;
  int error = ::fstat(descriptor_, &status) == 0 ? 0 : errno;
  if (error == 0 && status.st_size > 0) {
    bytes = ::mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, descriptor_, 0);
    if (bytes == MAP_FAILED) error = errno;
  }
  if (error != 0) {
    ::close(descriptor_);
    fail_system("cannot map", path_, error);
  }
  size_ = static_cast<uint64_t>(status.st_size);
  modified_ = status.st_mtim;
  bytes_ = static_cast<const uint8_t*>(bytes);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(std::exchange(other.size_, 0)),
      modified_(other.modified_),
      bytes_(std::exchange(other.bytes_, nullptr)) {}

MappedFile::~MappedFile() {
  if (bytes_ != nullptr) ::munmap(const_cast<uint8_t*>(bytes_), size_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

void MappedFile::expect_unchanged() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail_system("cannot read the size of", path_);
  if (static_cast<uint64_t>(status.st_size) != size_) {
    throw std::runtime_error(path_.string() + " changed while it was in use: it had " + std::to_string(size_) +
                             " bytes and now has " + std::to_string(status.st_size));
  }
  if (status.st_mtim.tv_sec != modified_.tv_sec || status.st_mtim.tv_nsec != modified_.tv_nsec) {
    throw std::runtime_error(path_.string() + " changed while it was in use: it was written to");
  }
}

}  // namespace lighthouse::io
