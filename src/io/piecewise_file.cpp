#include "io/piecewise_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "io/system_error.h"

namespace lighthouse::io {
namespace {

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

const char* kind_of_file(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe, which can be read once only";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

[[noreturn]] void fail_to_open(const std::filesystem::path& path) {
  const int error = errno;
  std::error_code ignored;
  const auto target = std::filesystem::read_symlink(path, ignored);
  if (error == ENOENT && !target.empty()) {
    throw SystemError("cannot open " + path.string() + ": it is a link to " + target.string() + ", which is not there");
  }
  fail_system("cannot open", path, error);
}

}  // namespace

PiecewiseFile::PiecewiseFile(const std::filesystem::path& path) : path_(path) {
  struct stat status {};
  // Asked before opening: to open a pipe is to wait for its writer.
  if (::stat(path.c_str(), &status) != 0) fail_to_open(path_);
  if (!S_ISREG(status.st_mode)) {
    throw std::runtime_error(path_.string() + " is not a regular file: it is " + kind_of_file(status.st_mode));
  }
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail_to_open(path_);
  if (::fstat(descriptor_, &status) != 0) {
    const int error = errno;
    ::close(descriptor_);
    fail_system("cannot read the size of", path_, error);
  }
  state_ = {static_cast<uint64_t>(status.st_size), nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

PiecewiseFile::~PiecewiseFile() { ::close(descriptor_); }

bool PiecewiseFile::is_hole(uint64_t offset, uint64_t count) const {
  if (offset + count > state_.size) return false;
  const off_t data = ::lseek(descriptor_, static_cast<off_t>(offset), SEEK_DATA);
  // ENXIO: no data from here to the end.
  return data < 0 ? errno == ENXIO : static_cast<uint64_t>(data) >= offset + count;
}

void PiecewiseFile::read(uint64_t offset, uint64_t count, void* out) const {
  auto* bytes = static_cast<char*>(out);
  constexpr uint64_t kWorthAsking = uint64_t{1} << 20;
  if (count >= kWorthAsking && is_hole(offset, count)) {
    std::fill_n(bytes, count, '\0');
    return;
  }
  constexpr uint64_t kMostAtOnce = uint64_t{1} << 30;  // Linux reads no more than 2 GiB in a call
  while (count > 0) {
    const ssize_t done =
        ::pread(descriptor_, bytes, static_cast<size_t>(std::min(count, kMostAtOnce)), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail_system("cannot read", path_);
    if (done == 0) {
      throw std::runtime_error(path_.string() + " changed while it was in use: it ends at byte " +
                               std::to_string(offset) + ", and had " + std::to_string(state_.size) + " bytes");
    }
    bytes += done;
    offset += static_cast<uint64_t>(done);
    count -= static_cast<uint64_t>(done);
  }
}

void PiecewiseFile::expect(const FileState& before) const {
  const std::string changed = path_.string() + " changed while it was in use: ";
  if (state_.size != before.size) {
    throw std::runtime_error(changed + "it had " + std::to_string(before.size) + " bytes and now has " +
                             std::to_string(state_.size));
  }
  if (state_.modified != before.modified) throw std::runtime_error(changed + "it was written to");
}

}  // namespace lighthouse::io
