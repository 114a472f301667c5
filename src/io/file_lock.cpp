#include "io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "io/system_error.h"

namespace lighthouse::io {

FileLock::FileLock(const std::filesystem::path& path, const std::filesystem::path& what)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail_system("cannot create", path);
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  ::close(descriptor_);
  if (error == EWOULDBLOCK) {
    throw std::runtime_error("another process is using " + (what.empty() ? path.parent_path() : what).string());
  }
  fail_system("cannot lock", path, error);
}

FileLock::~FileLock() { ::close(descriptor_); }

}  // namespace lighthouse::io
