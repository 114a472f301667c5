#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "io/mapped_file.h"
#include "io/system_error.h"

namespace lighthouse::io {

AtomicFile::AtomicFile(const std::filesystem::path& path)
    : path_(path),
      temporary_(path.string() + std::string(kTemporarySuffix)),
      descriptor_(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) fail_system("cannot create", temporary_);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_system("cannot write", temporary_);
    bytes += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail_system("cannot sync", temporary_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail_system("cannot rename " + temporary_.string() + " to", path_);
  }
  ::close(std::exchange(descriptor_, -1));
  // The rename itself must survive, too.
  sync_folder(path_.has_parent_path() ? path_.parent_path() : ".");
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void copy_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  const MappedFile file(from);
  write_file(to, {reinterpret_cast<const char*>(file.bytes()), file.size()});
  file.expect_unchanged();
}

void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail_system("cannot open", folder);
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (error != 0) fail_system("cannot sync", folder, error);
}

}  // namespace lighthouse::io
