#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <utility>

#include "io/mapped_file.h"
#include "io/system_error.h"

namespace lighthouse::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr size_t kRandomLetters = 6;

/// The number of a descriptor of this process, where a path names one: /dev/fd/1, /proc/self/fd/1.
std::optional<int> descriptor_at(const fs::path& path) {
  const fs::path folder = path.parent_path().lexically_normal();
  const fs::path own = "/proc/" + std::to_string(::getpid()) + "/fd";
  if (folder != "/dev/fd" && folder != "/proc/self/fd" && folder != own) return std::nullopt;
  const std::string name = path.filename().string();
  int number = -1;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
  if (parsed.ec != std::errc{} || parsed.ptr != name.data() + name.size()) return std::nullopt;
  return number;
}

/// Where a path leads, whether something is there or not.
struct Place {
  fs::path path;                      // links followed
  std::optional<int> descriptor;      // that they lead to
  std::optional<struct stat> status;  // of what is there

  bool is_replaced() const { return !descriptor && (!status || S_ISREG(status->st_mode)); }
};

void follow_links(Place& place) {
  constexpr int kMostLinks = 40;
  for (int i = 0; i < kMostLinks; ++i) {
    place.descriptor = descriptor_at(place.path);
    if (place.descriptor) return;
    std::error_code error;
    const fs::path target = fs::read_symlink(place.path, error);
    if (error) return;  // no link
    place.path = target.is_absolute() ? target : place.path.parent_path() / target;
  }
  fail_system("cannot follow the links of", place.path, ELOOP);
}

/// Throws where nothing can be written there.
Place find_place(const fs::path& path) {
  Place place{path, std::nullopt, std::nullopt};
  follow_links(place);
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) {
    place.status = status;
  } else if (errno != ENOENT) {
    fail_system("cannot write", path);
  }
  if (place.status && S_ISDIR(status.st_mode))
    throw std::runtime_error(path.string() + " is a folder; expected a file");
  // A rename would pass over what protects a file.
  if (place.status && !place.descriptor && ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) {
    fail_system("cannot write", path);
  }
  return place;
}

/// Only root can give a file away; for others, a file that they may replace becomes theirs.
void lend_permissions(int descriptor, const struct stat& status) {
  const bool given = ::fchown(descriptor, status.st_uid, status.st_gid) == 0;
  constexpr mode_t kAll = 07777;
  constexpr mode_t kPlain = 0777;  // not under another user's name
  ::fchmod(descriptor, status.st_mode & (given ? kAll : kPlain));
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : "."; }

}  // namespace

fs::path temporary_beside(const fs::path& path) {
  std::array<unsigned char, kRandomLetters> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    fail_system("cannot find a name beside", path);
  }
  constexpr size_t kMostOfName = 240;  // names have at most 255 bytes
  std::string name = path.filename().string().substr(0, kMostOfName) + ".";
  for (const unsigned char value : random) name += kLetters[value % kLetters.size()];
  return path.parent_path() / name.append(kTemporarySuffix);
}

std::optional<std::string> temporary_of(const std::string& name) {
  constexpr size_t kEnd = 1 + kRandomLetters + kTemporarySuffix.size();
  if (name.size() <= kEnd || !name.ends_with(kTemporarySuffix)) return std::nullopt;
  const std::string letters = name.substr(name.size() - kEnd + 1, kRandomLetters);
  if (name[name.size() - kEnd] != '.' || letters.find_first_not_of(kLetters) != std::string::npos) return std::nullopt;
  return name.substr(0, name.size() - kEnd);
}

void expect_writable(const fs::path& path) {
  const Place place = find_place(path);
  const fs::path folder = folder_of(place.path);
  if (place.is_replaced() && ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    fail_system("cannot write in the folder", folder);
  }
}

AtomicFile::AtomicFile(const fs::path& path) {
  const Place place = find_place(path);
  path_ = place.path;
  if (place.descriptor) {
    // Opened anew, a file there would be written from its beginning, over what the process printed.
    std::fflush(stdout);
    descriptor_ = ::fcntl(*place.descriptor, F_DUPFD_CLOEXEC, 0);
  } else if (!place.is_replaced()) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
  } else {
    create_beside();
    if (place.status) lend_permissions(descriptor_, *place.status);
  }
  if (descriptor_ < 0) fail_system("cannot write", path_);
}

void AtomicFile::create_beside() {
  constexpr int kMostTries = 100;
  for (int i = 0; i < kMostTries && descriptor_ < 0; ++i) {
    temporary_ = temporary_beside(path_);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) fail_system("cannot create", temporary_);
  }
  if (descriptor_ >= 0) unfinished_ = std::make_unique<Unfinished>(temporary_);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_system("cannot write", path_);
    bytes += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  if (temporary_.empty()) {
    ::fsync(descriptor_);  // most devices have nothing to sync, and say so
    if (::close(std::exchange(descriptor_, -1)) != 0) fail_system("cannot write", path_);
    return;
  }
  if (::fsync(descriptor_) != 0) fail_system("cannot sync", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail_system("cannot rename " + temporary_.string() + " to", path_);
  }
  unfinished_.reset();
  ::close(std::exchange(descriptor_, -1));
  // The rename itself must survive, too.
  sync_folder(folder_of(path_));
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void copy_file(const fs::path& from, const fs::path& to) {
  const MappedFile file(from);
  write_file(to, {reinterpret_cast<const char*>(file.bytes()), file.size()});
  file.expect_unchanged();
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0 && errno == EACCES) return;  // one may write in a folder that one may not list
  if (descriptor < 0) fail_system("cannot open", folder);
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // Some file systems cannot sync a folder.
  if (error != 0 && error != EINVAL && error != ENOSYS && error != EOPNOTSUPP)
    fail_system("cannot sync", folder, error);
}

}  // namespace lighthouse::io
