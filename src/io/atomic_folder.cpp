#include "io/atomic_folder.h"

#include <fcntl.h>
#include <stdio.h>

#include <cerrno>
#include <stdexcept>
#include <string>

#include "io/append_file.h"
#include "io/atomic_file.h"
#include "io/input_file.h"
#include "io/system_error.h"

namespace lighthouse::io {
namespace {

namespace fs = std::filesystem;

/// Links resolved and no slash at the end, so that what is renamed is the folder itself.
fs::path plain_path(const fs::path& path) {
  std::error_code error;
  const fs::path plain = fs::weakly_canonical(fs::absolute(path), error);
  if (error) fail_system("cannot resolve", path, error.value());
  return plain.has_filename() ? plain : plain.parent_path();
}

fs::path lock_beside(const fs::path& path) {
  constexpr size_t kMostOfName = 200;  // names have at most 255 bytes
  return path.parent_path() / ("." + path.filename().string().substr(0, kMostOfName) + ".lighthouse-lock");
}

/// Where what stood at a place waits, on file systems that cannot exchange two names.
fs::path aside_of(const fs::path& temporary) { return fs::path(temporary).concat(".old"); }

/// Some file systems cannot exchange two names: there `to` is moved aside first, and is missing for a moment.
void exchange(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) fail_system("cannot exchange " + from.string() + " with", to);
  const fs::path aside = aside_of(from);
  if (::rename(to.c_str(), aside.c_str()) != 0) fail_system("cannot move away", to);
  if (::rename(from.c_str(), to.c_str()) != 0) {
    const int error = errno;
    ::rename(aside.c_str(), to.c_str());
    fail_system("cannot rename " + from.string() + " to", to, error);
  }
  if (::rename(aside.c_str(), from.c_str()) != 0) fail_system("cannot rename", aside);
}

}  // namespace

AtomicFolder::AtomicFolder(const fs::path& path) : path_(plain_path(path)), lock_path_(lock_beside(path_)) {
  std::error_code error;
  fs::create_directories(path_.parent_path(), error);
  if (error) fail_system("cannot create the folder", path_.parent_path(), error.value());
  lock_ = std::make_unique<FileLock>(lock_path_, path_);
  remove_leftovers();
  temporary_ = temporary_beside(path_);
  // The name is known before there is such a folder: what is found without its name here is somebody else's.
  AppendFile record(lock_path_);
  record.append(temporary_.filename().string());
  record.sync();
  if (!fs::create_directory(temporary_, error)) {
    fs::remove(lock_path_);
    fail_system("cannot create the folder", temporary_, error.value());
  }
  unfinished_lock_ = std::make_unique<Unfinished>(lock_path_);
  unfinished_ = std::make_unique<Unfinished>(temporary_);
}

/// Of a process that was killed.
void AtomicFolder::remove_leftovers() {
  const std::string name = fs::exists(lock_path_) ? read_file(lock_path_) : "";
  if (name.empty()) return;
  const fs::path left = path_.parent_path() / name;
  const auto target = temporary_of(name);
  if (!target || !path_.filename().string().starts_with(*target)) {
    throw std::runtime_error(lock_path_.string() + " is in the way: expected the name of an unfinished folder in it");
  }
  const fs::path aside = aside_of(left);
  if (!fs::exists(fs::symlink_status(path_)) && fs::exists(aside)) {
    fs::rename(aside, path_);
    throw std::runtime_error("a process was killed while it replaced " + path_.string() +
                             ", which stands there again as it was. Try once more");
  }
  fs::remove_all(left);
  fs::remove_all(aside);
}

void AtomicFolder::clear() {
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
  fs::remove(lock_path_, ignored);
  lock_.reset();
}

AtomicFolder::~AtomicFolder() {
  if (lock_ && !temporary_.empty()) clear();
}

void AtomicFolder::commit() {
  sync_folder(temporary_);
  // From here on the folder may hold what stood there before: the next process finds out which.
  unfinished_.reset();
  unfinished_lock_.reset();
  if (fs::exists(fs::symlink_status(path_))) {
    exchange(temporary_, path_);
  } else if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail_system("cannot rename " + temporary_.string() + " to", path_);
  }
  sync_folder(path_.parent_path());
  clear();  // what stood there before
}

}  // namespace lighthouse::io
