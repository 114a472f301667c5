#include "io/atomic_folder.h"

#include <fcntl.h>
#include <stdio.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/atomic_file.h"
#include "io/system_error.h"

namespace lighthouse::io {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLock = ".lock";

/// Links resolved and no slash at the end, so that what is renamed is the folder itself.
fs::path plain_path(const fs::path& path) {
  std::error_code error;
  const fs::path plain = fs::weakly_canonical(fs::absolute(path), error);
  if (error) fail_system("cannot resolve", path, error.value());
  return plain.has_filename() ? plain : plain.parent_path();
}

void remove_all_but_lock(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> found;
  for (fs::directory_iterator walk(folder, error), end; !error && walk != end; walk.increment(error)) {
    if (walk->path().filename() != kLock) found.push_back(walk->path());
  }
  for (const auto& path : found) {
    if (!error) fs::remove_all(path, error);
  }
  if (error) fail_system("cannot empty", folder, error.value());
}

/// Some file systems cannot exchange two names: there `to` is moved aside first, and is missing for a moment.
void exchange(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) fail_system("cannot exchange " + from.string() + " with", to);
  const fs::path aside = from.string() + ".old";
  if (::rename(to.c_str(), aside.c_str()) != 0) fail_system("cannot move away", to);
  if (::rename(from.c_str(), to.c_str()) != 0) {
    const int error = errno;
    ::rename(aside.c_str(), to.c_str());
    fail_system("cannot rename " + from.string() + " to", to, error);
  }
  if (::rename(aside.c_str(), from.c_str()) != 0) fail_system("cannot rename", aside);
}

}  // namespace

AtomicFolder::AtomicFolder(const fs::path& path)
    : path_(plain_path(path)), temporary_(path_.string() + std::string(kTemporarySuffix)) {
  std::error_code error;
  if (fs::exists(temporary_, error) && !fs::exists(temporary_ / kLock) && !fs::is_empty(temporary_, error)) {
    throw std::runtime_error(temporary_.string() + " is in the way: what is written there is then renamed to " +
                             path_.string() +
                             ", and its files are not left from that. Move them, or choose another folder");
  }
  fs::create_directories(temporary_, error);
  if (error) fail_system("cannot create the folder", temporary_, error.value());
  lock_ = std::make_unique<FileLock>(temporary_ / kLock);
  remove_all_but_lock(temporary_);
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (lock_) fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  std::error_code error;
  fs::remove(temporary_ / kLock, error);
  if (error) fail_system("cannot remove", temporary_ / kLock, error.value());
  sync_folder(temporary_);
  if (fs::exists(fs::symlink_status(path_))) {
    exchange(temporary_, path_);
  } else if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail_system("cannot rename " + temporary_.string() + " to", path_);
  }
  lock_.reset();
  sync_folder(path_.parent_path());
  fs::remove_all(temporary_, error);  // what stood there before
  if (error) fail_system("cannot remove what was replaced,", temporary_, error.value());
}

}  // namespace lighthouse::io
