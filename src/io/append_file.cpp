#include "io/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "io/system_error.h"

namespace lighthouse::io {

AppendFile::AppendFile(const std::filesystem::path& path, uint64_t keep_bytes)
    : path_(path), descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666)), size_(keep_bytes) {
  if (descriptor_ < 0) fail_system("cannot open", path_);
  try {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) fail_system("cannot read the size of", path_);
    const auto present = static_cast<uint64_t>(status.st_size);
    if (present < keep_bytes) {
      throw std::runtime_error(path_.string() + " is shorter than it was: expected at least " +
                               std::to_string(keep_bytes) + " bytes; got " + std::to_string(present));
    }
    if (::ftruncate(descriptor_, static_cast<off_t>(keep_bytes)) != 0) fail_system("cannot truncate", path_);
  } catch (...) {
    ::close(descriptor_);  // the destructor does not run for an object that was not made
    throw;
  }
}

AppendFile::~AppendFile() { ::close(descriptor_); }

void AppendFile::append(std::string_view record) {
  size_t done = 0;
  while (done < record.size()) {
    const ssize_t written =
        ::pwrite(descriptor_, record.data() + done, record.size() - done, static_cast<off_t>(size_ + done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      // A part of a record is worse than none. Should this fail too, the next record is written over the part.
      if (::ftruncate(descriptor_, static_cast<off_t>(size_)) != 0) fail_system("cannot truncate", path_, error);
      fail_system("cannot write", path_, error);
    }
    done += static_cast<size_t>(written);
  }
  size_ += record.size();
}

void AppendFile::sync() {
  if (::fsync(descriptor_) != 0) fail_system("cannot sync", path_);
}

}  // namespace lighthouse::io
